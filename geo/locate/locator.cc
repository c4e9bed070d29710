#include "geo/locate/locator.h"

#include <fcntl.h>
#include <maxminddb.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <optional>
#include <unordered_map>
#include <utility>
#include <vector>

#include "core/base/descriptor.h"
#include "core/base/task.h"

namespace bw::geo {
namespace {

constexpr off_t kMinFile = 64;
constexpr off_t kMaxFile = off_t{1} << 30;
constexpr unsigned kIpv4At = 96;  // IPv4 lies at ::/96 of a tree for IPv6
constexpr size_t kMaxKeyDepth = 8;

Error fail(std::string* why, const std::string& file, std::string_view what, int code = 0) {
  if (why != nullptr) {
    *why = file + ": " + std::string(what);
    if (code != 0) *why += ": " + std::string(describe(errno_error(code, "system")));
  }
  return Error{.kind = Error::Kind::corrupt, .side = Error::Side::storage, .text = "geo database"};
}

// Copies all of `from` to `to`; the bytes copied, or -1.
off_t copy_all(int from, int to) {
  std::vector<char> block(1 << 16);
  off_t total = 0;
  for (;;) {
    const ssize_t got = ::read(from, block.data(), block.size());
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return -1;
    if (got == 0) return total;
    total += got;
    if (total > kMaxFile) return total;
    for (ssize_t done = 0; done < got;) {
      const ssize_t put = ::write(to, block.data() + done, static_cast<size_t>(got - done));
      if (put < 0 && errno == EINTR) continue;
      if (put <= 0) return -1;
      done += put;
    }
  }
}

// A value's place inside a record: "country.iso_code" taken apart.
struct KeyPath {
  std::vector<std::string> parts;
  std::vector<const char*> raw;  // ends in a null pointer, as the library wants it

  explicit KeyPath(std::string_view text) {
    while (!text.empty() && parts.size() < kMaxKeyDepth) {
      const size_t dot = text.find('.');
      parts.emplace_back(text.substr(0, dot));
      text.remove_prefix(dot == std::string_view::npos ? text.size() : dot + 1);
    }
    for (const std::string& part : parts) raw.push_back(part.c_str());
    raw.push_back(nullptr);
  }
};

// One file, read through a private copy: a mapped file that is cut in place would kill us.
class Database {
 public:
  Database() = default;
  ~Database() {
    if (open_) MMDB_close(&db_);
  }
  Database(const Database&) = delete;
  Database& operator=(const Database&) = delete;

  Status open(const std::string& file, std::string* why);

  // What stands at the end of the way to `ip`, and the bits of the way.
  struct Leaf {
    std::optional<MMDB_entry_s> entry;
    uint8_t prefix = 0;
  };
  Leaf find(const net::Ip& ip) const;

  using Visitor = UniqueFunction<void(const net::Network&, MMDB_entry_s)>;
  Status each(Visitor visit) const;
  std::optional<MMDB_entry_data_s> value(MMDB_entry_s entry, const KeyPath& key) const;
  size_t bytes() const { return open_ ? static_cast<size_t>(db_.file_size) : 0; }

 private:
  struct Step {
    uint64_t record = 0;
    uint8_t type = MMDB_RECORD_TYPE_SEARCH_NODE;
    MMDB_entry_s entry{};
    uint8_t depth = 0;
  };
  // One bit further from a search node.
  bool follow(Step& step, bool right) const;

  MMDB_s db_{};
  bool open_ = false;
  Step ipv4_;  // where IPv4 starts
};

Status Database::open(const std::string& file, std::string* why) {
  const Descriptor from(::open(file.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (from.get() < 0) return fail(why, file, "cannot be opened", errno);
  struct stat status {};
  if (::fstat(from.get(), &status) != 0) return fail(why, file, "cannot be read", errno);
  if (!S_ISREG(status.st_mode)) return fail(why, file, "is no file");
  if (status.st_size < kMinFile) return fail(why, file, "is too small for a database");
  if (status.st_size > kMaxFile) return fail(why, file, "is over 1 GiB");
  const Descriptor copy(::memfd_create("geo-database", MFD_CLOEXEC));
  if (copy.get() < 0) return fail(why, file, "cannot be copied", errno);
  const off_t size = copy_all(from.get(), copy.get());
  if (size < 0) return fail(why, file, "cannot be copied", errno);
  if (size < kMinFile || size > kMaxFile) return fail(why, file, "changed while it was read");
  const std::string path = "/proc/self/fd/" + std::to_string(copy.get());
  const int code = MMDB_open(path.c_str(), MMDB_MODE_MMAP, &db_);
  if (code != MMDB_SUCCESS) {
    return fail(why, file, std::string("is no MaxMind database: ") + MMDB_strerror(code));
  }
  open_ = true;
  const unsigned version = db_.metadata.ip_version;
  if ((version != 4 && version != 6) || db_.metadata.node_count == 0) {
    return fail(why, file, "has broken metadata");
  }
  if (version == 6) {
    while (ipv4_.depth < kIpv4At && ipv4_.type == MMDB_RECORD_TYPE_SEARCH_NODE) {
      if (!follow(ipv4_, false)) return fail(why, file, "has a broken search tree");
    }
  }
  return {};
}

bool Database::follow(Step& step, bool right) const {
  MMDB_search_node_s node{};
  if (MMDB_read_node(&db_, static_cast<uint32_t>(step.record), &node) != MMDB_SUCCESS) return false;
  step.record = right ? node.right_record : node.left_record;
  step.type = right ? node.right_record_type : node.left_record_type;
  step.entry = right ? node.right_record_entry : node.left_record_entry;
  ++step.depth;
  return step.type != MMDB_RECORD_TYPE_INVALID;
}

Database::Leaf Database::find(const net::Ip& ip) const {
  const bool tree_v6 = db_.metadata.ip_version == 6;
  if (ip.v6 && !tree_v6) return {};
  const unsigned width = ip.v6 ? 128 : 32;
  const unsigned offset = !ip.v6 && tree_v6 ? kIpv4At : 0;
  Step step = offset != 0 ? ipv4_ : Step{};
  while (step.type == MMDB_RECORD_TYPE_SEARCH_NODE && step.depth < width + offset) {
    const unsigned bit = step.depth - offset;
    const bool right = (ip.bytes[bit / 8] >> (7 - bit % 8) & 1) != 0;
    if (!follow(step, right)) return {};
  }
  Leaf leaf;
  leaf.prefix = static_cast<uint8_t>(step.depth > offset ? step.depth - offset : 0);
  if (step.type == MMDB_RECORD_TYPE_DATA) leaf.entry = step.entry;
  return leaf;
}

Status Database::each(Visitor visit) const {
  struct Branch {
    Step step;
    std::array<uint8_t, 16> bits{};
    bool zeros = true;  // the way so far is all zero bits
  };
  const bool tree_v6 = db_.metadata.ip_version == 6;
  const unsigned width = tree_v6 ? 128 : 32;
  const Error broken{.kind = Error::Kind::corrupt,
                     .side = Error::Side::storage,
                     .text = "search tree of the geo database"};
  std::vector<Branch> open{Branch{}};
  uint64_t visits = 0;
  while (!open.empty()) {
    const Branch at = open.back();
    open.pop_back();
    // A tree visits each node once; one that loops or shares branches would take for ever.
    if (++visits > db_.metadata.node_count) return broken;
    for (const bool right : {true, false}) {
      Branch next = at;
      if (!follow(next.step, right)) return broken;
      if (right) next.bits[at.step.depth / 8] |= uint8_t(0x80 >> (at.step.depth % 8));
      next.zeros = at.zeros && !right;
      if (next.step.type == MMDB_RECORD_TYPE_SEARCH_NODE) {
        // ::ffff:0:0/96, 2002::/16 and the like point at IPv4's tree once more.
        const bool alias = tree_v6 && ipv4_.type == MMDB_RECORD_TYPE_SEARCH_NODE &&
                           next.step.record == ipv4_.record && !next.zeros;
        if (next.step.depth >= width) return broken;
        if (!alias) open.push_back(next);
      } else if (next.step.type == MMDB_RECORD_TYPE_DATA) {
        net::Network network;
        if (!tree_v6 ||
            (next.step.depth >= kIpv4At && std::all_of(next.bits.begin(), next.bits.begin() + 12,
                                                       [](uint8_t byte) { return byte == 0; }))) {
          const size_t from = tree_v6 ? 12 : 0;
          std::copy_n(next.bits.begin() + ptrdiff_t(from), 4, network.base.bytes.begin());
          network.length = static_cast<uint8_t>(next.step.depth - (tree_v6 ? kIpv4At : 0));
          visit(network, next.step.entry);
          continue;
        }
        network.base.bytes = next.bits;
        network.base.v6 = true;
        network.length = next.step.depth;
        visit(network, next.step.entry);
        if (next.zeros) visit(net::Network{}, next.step.entry);  // all of IPv4 lies inside
      }
    }
  }
  return {};
}

std::optional<MMDB_entry_data_s> Database::value(MMDB_entry_s entry, const KeyPath& key) const {
  MMDB_entry_data_s data{};
  if (MMDB_aget_value(&entry, &data, key.raw.data()) != MMDB_SUCCESS || !data.has_data) {
    return std::nullopt;
  }
  return data;
}

std::optional<std::array<char, 2>> country_of(const MMDB_entry_data_s& data) {
  if (data.type != MMDB_DATA_TYPE_UTF8_STRING || data.data_size != 2) return std::nullopt;
  std::array<char, 2> country{data.utf8_string[0], data.utf8_string[1]};
  for (char& c : country) {
    if (c >= 'a' && c <= 'z') c = static_cast<char>(c - 32);
    if (c < 'A' || c > 'Z') return std::nullopt;
  }
  return country;
}

uint32_t asn_of(const MMDB_entry_data_s& data) {
  switch (data.type) {
    case MMDB_DATA_TYPE_UINT16:
      return data.uint16;
    case MMDB_DATA_TYPE_UINT32:
      return data.uint32;
    case MMDB_DATA_TYPE_UINT64:
      return data.uint64 <= UINT32_MAX ? static_cast<uint32_t>(data.uint64) : 0;
    case MMDB_DATA_TYPE_UTF8_STRING: {  // flat files write "AS64500"
      std::string_view text(data.utf8_string, data.data_size);
      if (text.starts_with("AS")) text.remove_prefix(2);
      uint32_t number = 0;
      const auto end = std::from_chars(text.data(), text.data() + text.size(), number);
      return end.ec == std::errc() && end.ptr == text.data() + text.size() ? number : 0;
    }
    default:
      return 0;
  }
}

class MmdbLocator final : public Locator {
 public:
  explicit MmdbLocator(const LocatorOptions& options)
      : country_key_(options.country_key), asn_key_(options.asn_key) {}

  Status open(const LocatorOptions& options, std::string* why) {
    for (auto [file, to] :
         {std::pair{&options.country_file, &country_}, std::pair{&options.asn_file, &asn_}}) {
      if (file->empty()) continue;
      *to = std::make_unique<Database>();
      if (Status opened = (*to)->open(*file, why); !opened) return opened;
    }
    return {};
  }

  Location find(const net::Ip& ip) const override {
    Location location;
    if (country_ != nullptr) {
      const Database::Leaf leaf = country_->find(ip);
      location.country_prefix = leaf.prefix;
      if (leaf.entry) {
        const auto data = country_->value(*leaf.entry, country_key_);
        if (data) location.country = country_of(*data).value_or(std::array<char, 2>{});
      }
    }
    if (asn_ != nullptr) {
      const Database::Leaf leaf = asn_->find(ip);
      location.asn_prefix = leaf.prefix;
      if (leaf.entry) {
        const auto data = asn_->value(*leaf.entry, asn_key_);
        if (data) location.asn = asn_of(*data);
      }
    }
    return location;
  }

  Status for_each_country(const CountryVisitor& visit) const override {
    if (country_ == nullptr) return {};
    // Records are shared by many networks: each is decoded once.
    std::unordered_map<uint32_t, std::optional<std::array<char, 2>>> known;
    return country_->each([&](const net::Network& network, MMDB_entry_s entry) {
      auto [at, fresh] = known.try_emplace(entry.offset);
      if (fresh) {
        const auto data = country_->value(entry, country_key_);
        if (data) at->second = country_of(*data);
      }
      if (at->second) visit(network, *at->second);
    });
  }

  size_t bytes() const override {
    return (country_ ? country_->bytes() : 0) + (asn_ ? asn_->bytes() : 0);
  }

 private:
  KeyPath country_key_;
  KeyPath asn_key_;
  std::unique_ptr<Database> country_;
  std::unique_ptr<Database> asn_;
};

}  // namespace

Result<std::shared_ptr<const Locator>> Locator::open(const LocatorOptions& options,
                                                     std::string* why) {
  auto locator = std::make_shared<MmdbLocator>(options);
  if (Status opened = locator->open(options, why); !opened) return opened.error();
  return std::shared_ptr<const Locator>(std::move(locator));
}

}  // namespace bw::geo

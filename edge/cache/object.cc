#include "edge/cache/object.h"

#include <cstring>

namespace bw::edge {
namespace {

constexpr uint8_t kFormat = 2;
// What the heap and the index cost beside the bytes themselves.
constexpr size_t kObjectOverhead = 160;
constexpr size_t kAllocationOverhead = 32;

class Writer {
 public:
  void number(uint64_t value) {  // LEB128: most are small
    while (value >= 0x80) {
      out_ += static_cast<char>(value | 0x80);
      value >>= 7;
    }
    out_ += static_cast<char>(value);
  }
  void signed_number(int64_t value) {  // zigzag
    number((static_cast<uint64_t>(value) << 1) ^ static_cast<uint64_t>(value >> 63));
  }
  void fixed(uint64_t value) {
    char bytes[8];
    std::memcpy(bytes, &value, 8);
    out_.append(bytes, 8);
  }
  void hash(const Hash128& hash) {
    fixed(hash.hi);
    fixed(hash.lo);
  }
  void text(std::string_view text) {
    number(text.size());
    out_ += text;
  }
  void optional(std::optional<int64_t> value) {
    number(value.has_value() ? 1 : 0);
    if (value.has_value()) signed_number(*value);
  }
  std::string take() { return std::move(out_); }

 private:
  std::string out_;
};

// Reads to the end of the bytes and then only zeros; ok() tells.
class Reader {
 public:
  explicit Reader(std::string_view bytes) : rest_(bytes) {}

  bool ok() const { return ok_; }
  bool done() const { return ok_ && rest_.empty(); }
  uint64_t number() {
    uint64_t value = 0;
    for (unsigned shift = 0; shift < 64; shift += 7) {
      if (rest_.empty()) break;
      const auto byte = static_cast<uint8_t>(rest_[0]);
      rest_.remove_prefix(1);
      value |= static_cast<uint64_t>(byte & 0x7f) << shift;
      if (byte < 0x80) return value;
    }
    ok_ = false;
    return 0;
  }
  int64_t signed_number() {
    const uint64_t value = number();
    return static_cast<int64_t>((value >> 1) ^ (~(value & 1) + 1));
  }
  uint64_t fixed() {
    uint64_t value = 0;
    const std::string_view bytes = take(8);
    if (bytes.size() == 8) std::memcpy(&value, bytes.data(), 8);
    return value;
  }
  Hash128 hash() {
    const uint64_t hi = fixed();
    return {hi, fixed()};
  }
  std::string_view text() { return take(number()); }
  // How many items of at least `least` bytes follow; more than the rest could hold: an error.
  size_t count(size_t least) {
    const uint64_t n = number();
    if (n > rest_.size() / least) ok_ = false;
    return ok_ ? static_cast<size_t>(n) : 0;
  }
  uint64_t below(uint64_t bound) {
    const uint64_t value = number();
    if (value >= bound) ok_ = false;
    return ok_ ? value : 0;
  }
  std::optional<int64_t> optional() {
    return below(2) == 1 ? std::optional(signed_number()) : std::nullopt;
  }

 private:
  std::string_view take(uint64_t size) {
    if (!ok_ || size > rest_.size()) {
      ok_ = false;
      return {};
    }
    const std::string_view bytes = rest_.substr(0, static_cast<size_t>(size));
    rest_.remove_prefix(bytes.size());
    return bytes;
  }
  std::string_view rest_;
  bool ok_ = true;
};

// What every answer from memory says: all but what a tier alone may see, and what differs per
// answer.
http::PreparedHead prepare_head(const ObjectMeta& meta) {
  http::PreparedHead head(meta.status, meta.body_size);
  if (meta.vary_mark) return head;
  for (const http::Field field : meta.fields) {
    switch (field.id) {
      case http::FieldId::age:
      case http::FieldId::cache_status:
      case http::FieldId::cache_tag:
      case http::FieldId::cdn_cache_control:
      case http::FieldId::surrogate_control:
      case http::FieldId::surrogate_key:
        break;
      default:
        head.add(field);
    }
  }
  return head;
}

size_t charge_of(const ObjectMeta& meta, const http::PreparedHead& head,
                 const std::vector<Slice>& body) {
  size_t charge = sizeof(Object) + kObjectOverhead;
  for (const std::string* text : {&meta.key.text, &meta.validators.etag}) {
    if (text->capacity() > 15) charge += text->capacity() + kAllocationOverhead;
  }
  for (const std::string& name : meta.vary) {
    charge += sizeof(std::string) + name.capacity() + kAllocationOverhead;
  }
  charge += meta.fields.bytes() + 2 * kAllocationOverhead;
  if (!head.lines().empty()) charge += head.lines().size() + kAllocationOverhead;
  charge += meta.tags.capacity() * sizeof(uint64_t);
  for (const Slice& slice : body) {
    charge += slice.size() + sizeof(Slice) + sizeof(Buffer) + kAllocationOverhead;
  }
  return charge;
}

}  // namespace

std::string encode_meta(const ObjectMeta& meta) {
  Writer out;
  out.number(kFormat);
  out.text(meta.key.text);
  out.hash(meta.key.hash);
  out.number(meta.key.site);
  out.hash(meta.variant);
  out.number(meta.vary_mark ? 1 : 0);
  out.number(meta.vary.size());
  for (const std::string& name : meta.vary) out.text(name);
  out.number(static_cast<uint64_t>(meta.status));
  out.number(meta.fields.size());
  for (const http::Field field : meta.fields) {
    out.text(field.name);
    out.text(field.value);
  }
  out.number(meta.tags.size());
  for (const uint64_t tag : meta.tags) out.fixed(tag);
  const Freshness& f = meta.freshness;
  out.signed_number(f.response_time.ns);
  for (const int64_t value : {f.initial_age_s, f.lifetime_s, f.swr_s, f.sie_s}) {
    out.signed_number(value);
  }
  out.number(static_cast<uint64_t>(f.from));
  out.number((f.must_revalidate ? 1u : 0u) | (f.no_cache ? 2u : 0u) | (f.age_reset ? 4u : 0u));
  out.text(meta.validators.etag);
  out.optional(meta.validators.last_modified_s);
  out.optional(meta.validators.date_s);
  out.number(meta.body_size);
  out.number(meta.generation);
  out.number(meta.pos);
  out.number(meta.local);
  return out.take();
}

Result<ObjectMeta> decode_meta(std::string_view bytes) {
  Reader in(bytes);
  ObjectMeta meta;
  const bool known = in.number() == kFormat;
  meta.key.text = in.text();
  meta.key.hash = in.hash();
  meta.key.site = static_cast<uint32_t>(in.below(kMaxSites));
  meta.variant = in.hash();
  meta.vary_mark = in.below(2) == 1;
  for (size_t n = in.count(1); n > 0 && in.ok(); --n) meta.vary.emplace_back(in.text());
  meta.status = static_cast<int>(in.below(1000));
  for (size_t n = in.count(2); n > 0 && in.ok(); --n) {
    const std::string_view name = in.text();
    const std::string_view value = in.text();
    // A field that could break a message's framing never comes back to life.
    if (!in.ok() || !http::is_field_name(name) || !http::is_field_value(value)) {
      return Error{.kind = Error::Kind::corrupt,
                   .side = Error::Side::storage,
                   .text = "field of a stored object"};
    }
    meta.fields.add(name, value);
  }
  const size_t tags = in.count(8);
  meta.tags.reserve(tags);
  for (size_t n = 0; n < tags; ++n) meta.tags.push_back(in.fixed());
  Freshness& f = meta.freshness;
  f.response_time.ns = in.signed_number();
  for (int64_t* value : {&f.initial_age_s, &f.lifetime_s, &f.swr_s, &f.sie_s}) {
    *value = in.signed_number();
    if (*value < 0 || *value > (int64_t{1} << 40)) *value = 0;
  }
  f.from = static_cast<LifetimeFrom>(in.below(static_cast<uint64_t>(LifetimeFrom::heuristic) + 1));
  const uint64_t flags = in.below(8);
  f.must_revalidate = (flags & 1) != 0;
  f.no_cache = (flags & 2) != 0;
  f.age_reset = (flags & 4) != 0;
  meta.validators.etag = in.text();
  meta.validators.last_modified_s = in.optional();
  meta.validators.date_s = in.optional();
  meta.body_size = in.number();
  meta.generation = in.number();
  meta.pos = in.number();
  meta.local = in.number();
  if (!known || !in.done() || !meta.key.find_parts()) {
    return Error{.kind = Error::Kind::corrupt,
                 .side = Error::Side::storage,
                 .text = "meta of a stored object"};
  }
  return meta;
}

Object::Object(ObjectMeta meta, std::vector<Slice> body)
    : meta_(std::move(meta)),
      body_(std::move(body)),
      head_(prepare_head(meta_)),
      charge_(charge_of(meta_, head_, body_)),
      pos_(meta_.pos),
      local_(meta_.local) {
  meta_.key.keep_purge_hashes();
}

Object::Object(ObjectMeta meta, std::shared_ptr<BodySource> source)
    : meta_(std::move(meta)),
      source_(std::move(source)),
      charge_(charge_of(meta_, head_, body_)),
      pos_(meta_.pos),
      local_(meta_.local) {
  meta_.key.keep_purge_hashes();
}

Object::~Object() {
  if (ledger_ != nullptr) ledger_->fetch_sub(charge_, std::memory_order_relaxed);
}

void Object::count_in(std::shared_ptr<std::atomic<size_t>> ledger) const {
  BW_CHECK(ledger_ == nullptr);
  ledger->fetch_add(charge_, std::memory_order_relaxed);
  ledger_ = std::move(ledger);
}

std::vector<Slice> Object::slices(uint64_t offset, uint64_t length) const {
  BW_CHECK(offset <= size() && length <= size() - offset);
  std::vector<Slice> parts;
  for (const Slice& slice : body_) {
    if (length == 0) break;
    if (offset >= slice.size()) {
      offset -= slice.size();
      continue;
    }
    const size_t part = static_cast<size_t>(std::min<uint64_t>(slice.size() - offset, length));
    parts.push_back(slice.part(static_cast<size_t>(offset), part));
    offset = 0;
    length -= part;
  }
  return parts;
}

void Object::raise(Position pos, uint64_t local) const {
  Position had = pos_.load(std::memory_order_relaxed);
  while (had < pos && !pos_.compare_exchange_weak(had, pos, std::memory_order_relaxed)) {
  }
  uint64_t had_local = local_.load(std::memory_order_relaxed);
  while (had_local < local &&
         !local_.compare_exchange_weak(had_local, local, std::memory_order_relaxed)) {
  }
}

}  // namespace bw::edge

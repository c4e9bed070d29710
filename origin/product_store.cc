#include "origin/product_store.h"

#include <cstdio>
#include <fstream>

#include "core/base/digest.h"
#include "core/text/json.h"
#include "origin/product.h"

namespace bw::origin {
namespace {

constexpr size_t kProducts = 0;
constexpr size_t kOutbox = 1;
constexpr size_t kEvents = 2;
constexpr size_t kMeta = 3;
constexpr size_t kLoadBatch = 500;
constexpr size_t kMaxLine = 64 * 1024;
constexpr size_t kDbMemory = 32u << 20;

std::string number_key(uint64_t number) {
  std::string key(8, '\0');
  for (size_t i = 0; i < 8; ++i) key[i] = static_cast<char>(number >> (56 - 8 * i));
  return key;
}

uint64_t number_of(std::string_view key) {
  uint64_t number = 0;
  for (size_t i = 0; i < 8 && i < key.size(); ++i) {
    number = number << 8 | static_cast<uint8_t>(key[i]);
  }
  return number;
}

// Shorter ids first, so that 9 comes before 10.
std::string product_key(std::string_view id) {
  return std::string(1, static_cast<char>(id.size())) + std::string(id);
}

std::string product_value(std::string_view text, WallTime updated) {
  return number_key(static_cast<uint64_t>(updated.ns)) + std::string(text);
}

StoredProduct product_of(std::string_view id, std::string_view value) {
  StoredProduct product{.id = std::string(id), .text = {}, .updated = {}};
  if (value.size() < 8) return product;
  product.updated.ns = static_cast<int64_t>(number_of(value));
  product.text = value.substr(8);
  return product;
}

}  // namespace

Result<std::unique_ptr<ProductStore>> ProductStore::open(const std::string& path, bool publishes,
                                                         Random& random, std::string* why) {
  kv::Options options;
  options.path = path;
  options.spaces = {{"products", {}}, {"outbox", {}}, {"events", {}}, {"meta", {}}};
  options.memory = kDbMemory;
  Result<std::unique_ptr<kv::Db>> db = kv::Db::open(std::move(options), why);
  if (!db) return db.error();
  std::unique_ptr<ProductStore> store(new ProductStore(std::move(*db)));
  const Status started = store->start(publishes, random);
  if (!started) {
    if (why != nullptr) *why = path + ": " + describe(started.error());
    return started.error();
  }
  return store;
}

Status ProductStore::start(bool publishes, Random& random) {
  publishes_ = publishes;
  const auto instance = db_->get(kMeta, "instance");
  if (!instance) return instance.error();
  if (*instance) {
    instance_ = **instance;
  } else {
    instance_ = hex(number_key(random.next()));
    kv::Batch batch;
    batch.put(kMeta, "instance", instance_);
    const Status written = db_->write(batch, kv::Sync::now);
    if (!written) return written;
  }
  const auto last_event = db_->last(kEvents);
  if (!last_event) return last_event.error();
  if (*last_event) next_event_ = number_of((*last_event)->first) + 1;
  // Numbers are never used twice, not even when the outbox ran empty in between.
  const auto next = db_->get(kMeta, "outbox");
  if (!next) return next.error();
  if (*next) next_outbox_ = number_of(**next);
  size_t waiting = 0;
  const Status counted = db_->scan(kOutbox, "", "", [&](std::string_view, std::string_view) {
    ++waiting;
    return true;
  });
  outbox_size_ = waiting;
  return counted;
}

bool ProductStore::empty() const {
  bool any = false;
  (void)db_->scan(kProducts, "", "", [&any](std::string_view, std::string_view) {
    any = true;
    return false;
  });
  return !any;
}

Status ProductStore::generate(uint64_t count, WallTime now) {
  kv::Batch batch;
  for (uint64_t n = 1; n <= count; ++n) {
    batch.put(kProducts, product_key(std::to_string(n)),
              product_value(generated_product(n, now).dump(), now));
    if (batch.size() < kLoadBatch && n < count) continue;
    const Status written = db_->write(batch, n < count ? kv::Sync::later : kv::Sync::now);
    if (!written) return written;
    batch.clear();
  }
  return {};
}

Result<uint64_t> ProductStore::load(const std::string& file, WallTime now, std::string* why) {
  const auto fault = [&](uint64_t line, const std::string& text, Error::Kind kind) {
    *why = file + (line > 0 ? ":" + std::to_string(line) : std::string()) + ": " + text;
    return Error{.kind = kind, .text = "products"};
  };
  std::ifstream in(file);
  if (!in) return fault(0, "cannot be read", Error::Kind::not_found);
  kv::Batch batch;
  uint64_t added = 0;
  uint64_t number = 0;
  std::string line;
  while (std::getline(in, line)) {
    ++number;
    if (line.empty()) continue;
    if (line.size() > kMaxLine) return fault(number, "line too long", Error::Kind::too_large);
    std::string reason;
    const Result<text::Json> given = text::Json::parse(line, {}, &reason);
    if (!given) return fault(number, reason, Error::Kind::malformed);
    const auto id = given->get("id").as_string();
    if (!id || !is_product_id(*id)) return fault(number, "no id", Error::Kind::malformed);
    const Result<text::Json> product = make_product(*id, *given, now, &reason);
    if (!product) return fault(number, reason, Error::Kind::malformed);
    const auto known = db_->get(kProducts, product_key(*id));
    if (!known) return known.error();
    if (*known) continue;
    batch.put(kProducts, product_key(*id), product_value(product->dump(), now));
    ++added;
    if (batch.size() < kLoadBatch) continue;
    const Status written = db_->write(batch, kv::Sync::later);
    if (!written) return written.error();
    batch.clear();
  }
  if (in.bad()) return fault(number, "cannot be read", Error::Kind::io);
  const Status written = db_->write(batch, kv::Sync::now);
  if (!written) return written.error();
  return added;
}

Result<std::optional<StoredProduct>> ProductStore::get(std::string_view id) const {
  const auto value = db_->get(kProducts, product_key(id));
  if (!value) return value.error();
  if (!*value) return std::optional<StoredProduct>();
  return std::optional<StoredProduct>(product_of(id, **value));
}

Result<std::vector<StoredProduct>> ProductStore::list(std::string_view after, size_t limit) const {
  std::vector<StoredProduct> products;
  std::string from;
  if (!after.empty()) from = product_key(after) + '\0';  // just behind it
  const Status scanned =
      db_->scan(kProducts, from, "", [&](std::string_view key, std::string_view value) {
        if (products.size() == limit) return false;
        products.push_back(product_of(key.substr(1), value));
        return true;
      });
  if (!scanned) return scanned.error();
  return products;
}

Status ProductStore::change(std::string_view id, WallTime now, const Decide& decide) {
  std::lock_guard lock(mutex_);
  const Result<std::optional<StoredProduct>> current = get(id);
  if (!current) return current.error();
  const Change change = decide(*current);
  if (change.kind == Change::Kind::none) return {};
  if (publishes_ && outbox_size() >= kMaxOutbox) {
    return Error{.kind = Error::Kind::busy, .side = Error::Side::storage, .text = "outbox full"};
  }
  kv::Batch batch;
  if (change.kind == Change::Kind::put) {
    batch.put(kProducts, product_key(id), product_value(change.text, now));
  } else {
    batch.erase(kProducts, product_key(id));
  }
  if (publishes_) {
    text::Json tags = text::Json::array();
    for (const std::string& tag : change.tags) tags.push(tag);
    batch.put(kOutbox, number_key(next_outbox_), tags.dump());
    batch.put(kMeta, "outbox", number_key(next_outbox_ + 1));
  }
  const Status written = db_->write(batch, kv::Sync::now);
  if (!written) return written;
  if (publishes_) {
    ++next_outbox_;
    ++outbox_size_;
  }
  return {};
}

Result<uint64_t> ProductStore::add_event(std::string_view text) {
  std::lock_guard lock(mutex_);
  kv::Batch batch;
  batch.put(kEvents, number_key(next_event_), text);
  if (next_event_ > kMaxEvents) batch.erase(kEvents, number_key(next_event_ - kMaxEvents));
  const Status written = db_->write(batch, kv::Sync::later);
  if (!written) return written.error();
  return next_event_++;
}

Result<std::vector<OutboxEntry>> ProductStore::outbox(size_t limit) const {
  std::vector<OutboxEntry> entries;
  const Status scanned =
      db_->scan(kOutbox, "", "", [&](std::string_view key, std::string_view value) {
        if (entries.size() == limit) return false;
        OutboxEntry entry{.number = number_of(key), .tags = {}};
        const Result<text::Json> tags = text::Json::parse(value);
        if (tags) {
          for (const text::Json& tag : tags->items()) {
            if (const auto text = tag.as_string()) entry.tags.emplace_back(*text);
          }
        }
        entries.push_back(std::move(entry));
        return true;
      });
  if (!scanned) return scanned.error();
  return entries;
}

Status ProductStore::forget(uint64_t number) {
  std::lock_guard lock(mutex_);
  kv::Batch batch;
  const Status scanned =
      db_->scan(kOutbox, "", number_key(number + 1), [&](std::string_view key, std::string_view) {
        batch.erase(kOutbox, key);
        return true;
      });
  if (!scanned) return scanned;
  // A forgotten entry that comes back after a crash is only published twice.
  const Status written = db_->write(batch, kv::Sync::later);
  if (written) outbox_size_ -= batch.size();
  return written;
}

}  // namespace bw::origin

#include "origin/product.h"

#include <algorithm>
#include <array>
#include <chrono>

#include "core/base/digest.h"

namespace bw::origin {
namespace {

using text::Json;

constexpr std::array<std::string_view, 7> kNames = {
    "id", "name", "category", "price_cents", "stock", "updated_at", "description"};
constexpr size_t kMaxName = 200;
constexpr size_t kMaxDescription = 10'000;
constexpr int64_t kMostCount = 1'000'000'000'000;

Error malformed(std::string* why, std::string text) {
  if (why != nullptr) *why = std::move(text);
  return {.kind = Error::Kind::malformed, .side = Error::Side::client, .text = "product"};
}

bool is_name_of_member(std::string_view name) {
  return std::find(kNames.begin(), kNames.end(), name) != kNames.end();
}

}  // namespace

bool is_product_id(std::string_view text) {
  if (text.empty() || text.size() > 64 || text == "." || text == "..") return false;
  return std::all_of(text.begin(), text.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' ||
           c == '_' || c == '-';
  });
}

Result<Json> make_product(std::string_view id, const Json& given, WallTime now, std::string* why) {
  if (!given.is_object()) return malformed(why, "a product is a JSON object");
  for (const Json::Member& member : given.members()) {
    if (!is_name_of_member(member.key)) return malformed(why, "unknown member " + member.key);
  }
  if (!given.get("id").is_null() && given.get("id").as_string() != id) {
    return malformed(why, "id differs from the one in the path");
  }
  const auto name = given.get("name").as_string();
  if (!name || name->empty() || name->size() > kMaxName) {
    return malformed(why, "name must be a string of 1 to 200 bytes");
  }
  const auto category = given.get("category").as_string();
  if (!category || !is_product_id(*category)) {
    return malformed(why, "category must be a string of 1 to 64 of A-Z a-z 0-9 . _ -");
  }
  Json product = Json::object();
  product.set("id", id).set("name", *name).set("category", *category);
  for (const char* key : {"price_cents", "stock"}) {
    const Json& value = given.get(key);
    const auto number = value.is_null() ? std::optional<int64_t>(0) : value.as_int();
    if (!number || *number < 0 || *number > kMostCount) {
      return malformed(why, std::string(key) + " must be an integer from 0");
    }
    product.set(key, *number);
  }
  const Json& description = given.get("description");
  if (!description.is_null() &&
      (!description.is_string() || description.as_string()->size() > kMaxDescription)) {
    return malformed(why, "description must be a string of at most 10000 bytes");
  }
  product.set("updated_at", format_time(now));
  product.set("description", description.is_null() ? Json("") : description);
  return product;
}

Json merge_patch(const Json& target, const Json& patch) {
  if (!patch.is_object()) return patch;
  Json merged = target.is_object() ? target : Json::object();
  for (const Json::Member& member : patch.members()) {
    if (member.value.is_null()) {
      merged.remove(member.key);
    } else {
      merged.set(member.key, merge_patch(merged.get(member.key), member.value));
    }
  }
  return merged;
}

std::optional<std::vector<std::string>> parse_fields(std::string_view text) {
  std::vector<std::string> fields;
  while (!text.empty()) {
    const size_t comma = std::min(text.find(','), text.size());
    const std::string_view name = text.substr(0, comma);
    text.remove_prefix(std::min(comma + 1, text.size()));
    if (!is_name_of_member(name)) return std::nullopt;
    fields.emplace_back(name);
  }
  return fields;
}

Json project(const Json& product, const std::vector<std::string>& fields) {
  if (fields.empty()) return product;
  Json part = Json::object();
  for (const Json::Member& member : product.members()) {
    if (std::find(fields.begin(), fields.end(), member.key) != fields.end()) {
      part.set(member.key, member.value);
    }
  }
  return part;
}

std::string product_tag(std::string_view id) { return "product-" + std::string(id); }

std::string category_tag(const Json& product) {
  const auto category = product.get("category").as_string();
  return category ? "category-" + std::string(*category) : std::string();
}

Json generated_product(uint64_t n, WallTime now) {
  static constexpr std::array<std::string_view, 12> kKinds = {"lamp",  "chair", "kettle", "rug",
                                                              "clock", "shelf", "mug",    "scarf",
                                                              "radio", "bench", "vase",   "tray"};
  static constexpr std::array<std::string_view, 10> kLooks = {
      "oak", "blue", "small", "tall", "linen", "steel", "round", "plain", "red", "folding"};
  SeededRandom random(n);
  const std::string_view look = kLooks[random.below(kLooks.size())];
  const std::string_view kind = kKinds[random.below(kKinds.size())];
  Json product = Json::object();
  product.set("id", std::to_string(n));
  product.set("name", std::string(look) + " " + std::string(kind) + " " + std::to_string(n));
  product.set("category", std::to_string(1 + n % 100));
  product.set("price_cents", static_cast<int64_t>(499 + random.below(20'000)));
  product.set("stock", static_cast<int64_t>(random.below(500)));
  product.set("updated_at", format_time(now));
  std::string description = "A " + std::string(look) + " " + std::string(kind) + ".";
  for (uint64_t i = 2 + random.below(6); i > 0; --i) {
    description += " Goes well with a " + std::string(kLooks[random.below(kLooks.size())]) + " " +
                   std::string(kKinds[random.below(kKinds.size())]) + ".";
  }
  product.set("description", std::move(description));
  return product;
}

std::string format_time(WallTime time) {
  using namespace std::chrono;
  const int64_t seconds = time.seconds();
  const sys_days day = floor<days>(sys_seconds(std::chrono::seconds(seconds)));
  const year_month_day date(day);
  const int64_t of_day = seconds - int64_t{day.time_since_epoch().count()} * 86'400;
  const auto two = [](int64_t value) {
    return std::string(value < 10 ? "0" : "") + std::to_string(value);
  };
  const std::string ms = std::to_string(1000 + time.ms() % 1000).substr(1);
  return std::to_string(static_cast<int>(date.year())) + "-" +
         two(static_cast<unsigned>(date.month())) + "-" + two(static_cast<unsigned>(date.day())) +
         "T" + two(of_day / 3600) + ":" + two(of_day / 60 % 60) + ":" + two(of_day % 60) + "." +
         ms + "Z";
}

}  // namespace bw::origin

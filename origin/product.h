// A product: its JSON, its rules, its tags, and the generated catalogue.
//
// Pure. Errors: `why` receives a sentence for the client. See: RFC 7396 for patches.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/clock.h"
#include "core/base/result.h"
#include "core/text/json.h"

namespace bw::origin {

// [A-Za-z0-9._-]{1,64}, and neither "." nor "..".
bool is_product_id(std::string_view text);

// The whole product from what a client gave: all rules hold, members are in their order, and
// updated_at is `now`. An `id` in `given` must be `id`; an `updated_at` there is ignored.
Result<text::Json> make_product(std::string_view id, const text::Json& given, WallTime now,
                                std::string* why);
// RFC 7396.
text::Json merge_patch(const text::Json& target, const text::Json& patch);

// Names a client may ask for with ?fields=, comma-separated; nullopt: an unknown name.
std::optional<std::vector<std::string>> parse_fields(std::string_view text);
// Those members only, in the product's order; an empty list: all.
text::Json project(const text::Json& product, const std::vector<std::string>& fields);

// "product-42"
std::string product_tag(std::string_view id);
// "category-7"; empty for a product without one.
std::string category_tag(const text::Json& product);

// Product `n` of the catalogue, n from 1: always the same.
text::Json generated_product(uint64_t n, WallTime now);

// "2026-11-24T13:00:00.123Z"
std::string format_time(WallTime time);

}  // namespace bw::origin

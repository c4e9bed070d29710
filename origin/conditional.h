// Preconditions, ranges and encodings of one request against one representation.
//
// Pure. See: RFC 9110 sections 13 and 14.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "core/http/message.h"

namespace bw::origin {

struct Validators {
  std::string etag;  // strong, with its quotes
  std::optional<int64_t> last_modified;
};

enum class Precondition : uint8_t { go, not_modified, failed };
// `current`: null when there is no representation. `now`: seconds, for two-digit years.
Precondition judge(const http::RequestHead& head, const Validators* current, int64_t now);
// Whether a list of entity tags (or "*") names `etag`; weak ones only when `weak` allows.
bool names_etag(std::string_view list, std::string_view etag, bool weak);

struct Part {
  enum class Kind : uint8_t { whole, part, unsatisfiable };
  Kind kind = Kind::whole;
  uint64_t offset = 0;
  uint64_t length = 0;
};
// What of `size` bytes a GET asks for; several ranges, or a false If-Range: the whole.
Part choose_part(const http::RequestHead& head, const Validators& current, uint64_t size,
                 int64_t now);

// Whether gzip is welcome (RFC 9110 section 12.5.3).
bool accepts_gzip(const http::RequestHead& head);
// `"abc"` as the tag of its compressed twin: `"abc-gz"`; and back.
std::string gzip_etag(std::string_view etag);
// An If-Match list that names compressed twins, naming the originals.
std::string without_gzip_marks(std::string_view list);

}  // namespace bw::origin

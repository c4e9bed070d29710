// The answer to a client from a representation: status, part of the body, fields as it may see
// them.
//
// Pure. See: RFC 9110 sections 13.2.2, 14.2 and 15.4.5; RFC 9111 section 4.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "core/http/message.h"
#include "edge/cache/validators.h"
#include "edge/proxy/site.h"

namespace bw::edge {

// Which part of a representation answers a request.
struct Part {
  int status = 200;  // the representation's own, or 206, 304, 412, 416
  bool whole = true;
  uint64_t offset = 0;
  uint64_t length = 0;  // of a part
  bool body = true;     // false: HEAD, 304, 412, 416
};
// `size` of the whole; nullopt: not known yet, then ranges are answered with the whole.
Part choose_part(const http::RequestHead& request, int status, const Validators& validators,
                 std::optional<uint64_t> size);

// Who is answered, and what else is said to it.
struct AnswerFacts {
  std::string_view via;  // our member of Via: said in a line of its own, after what came
  bool tier = false;     // keeps tags, targeted fields and the like for the tier that asks
  const Site* site = nullptr;
  const Route* route = nullptr;
  std::string_view cache_status;  // whole field
  std::optional<int64_t> age;     // not said when empty
  std::optional<uint64_t> size;   // of the whole representation
};
// What an answer says beside a stored object's prepared head. Values live here, in the stored
// fields or in what the facts refer to.
class MoreFields {
 public:
  // False: the head can't be sent as it was prepared: a tier asks, tags are shown, or the route
  // edits a field that is stored or said here.
  bool fill(const http::FieldList& stored, const AnswerFacts& facts);
  // False: no room.
  bool add(const http::Field& field);
  std::span<const http::Field> fields() const { return {fields_.data(), size_}; }

 private:
  static constexpr size_t kMost = 24;
  std::array<http::Field, kMost> fields_;
  size_t size_ = 0;
  std::array<char, 20> age_;
};

// `fields` as stored or received, without hop-by-hop.
http::ResponseHead make_answer(const http::FieldList& fields, const Part& part,
                               const AnswerFacts& facts);
// For an answer that isn't ours to choose from: as it came, dressed for who asked.
void dress(http::FieldList& fields, const AnswerFacts& facts);

}  // namespace bw::edge

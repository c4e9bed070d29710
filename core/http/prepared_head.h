// A response head that is sent again and again: its fields as lines, ready to copy.
//
// A value; immutable once it is shared. Fields of the connection and those that aren't well formed
// are left out, as the writers do, so that what is sent need not be looked at again.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "core/http/field_list.h"

namespace bw::http {

class PreparedHead {
 public:
  PreparedHead() = default;
  PreparedHead(int status, std::optional<uint64_t> content_length)
      : status_(status), content_length_(content_length) {}

  void add(const Field& field);

  int status() const { return status_; }
  std::optional<uint64_t> content_length() const { return content_length_; }
  // Whether Date is among the fields.
  bool dated() const { return dated_; }
  // "name: value\r\n" of each field, in their order.
  std::string_view lines() const { return lines_; }
  // Calls `each` with name and value of each field.
  template <typename Each>
  void for_each(Each each) const {
    for (std::string_view rest = lines_; !rest.empty();) {
      const size_t colon = rest.find(':');
      const size_t end = rest.find('\r', colon);
      each(rest.substr(0, colon), rest.substr(colon + 2, end - colon - 2));
      rest.remove_prefix(end + 2);
    }
  }

 private:
  int status_ = 0;
  std::optional<uint64_t> content_length_;
  bool dated_ = false;
  std::string lines_;
};

}  // namespace bw::http

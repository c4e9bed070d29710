#include "core/base/result.h"

#include <cerrno>
#include <cstring>

namespace bw {

std::string_view to_text(Error::Kind kind) {
  switch (kind) {
    case Error::Kind::malformed:
      return "malformed";
    case Error::Kind::too_large:
      return "too large";
    case Error::Kind::timeout:
      return "timeout";
    case Error::Kind::refused:
      return "refused";
    case Error::Kind::unreachable:
      return "unreachable";
    case Error::Kind::closed:
      return "closed";
    case Error::Kind::not_found:
      return "not found";
    case Error::Kind::exists:
      return "exists";
    case Error::Kind::no_space:
      return "no space";
    case Error::Kind::io:
      return "io";
    case Error::Kind::unsupported:
      return "unsupported";
    case Error::Kind::cancelled:
      return "cancelled";
    case Error::Kind::busy:
      return "busy";
    case Error::Kind::corrupt:
      return "corrupt";
    case Error::Kind::internal:
      return "internal";
  }
  return "unknown";
}

std::string describe(const Error& error) {
  std::string line(error.text);
  line += " (";
  line += to_text(error.kind);
  if (error.code != 0) {
    line += ", code ";
    line += std::to_string(error.code);
    if (error.kind == Error::Kind::io || error.kind == Error::Kind::no_space ||
        error.kind == Error::Kind::unreachable || error.kind == Error::Kind::not_found) {
      line += ": ";
      line += std::strerror(error.code);
    }
  }
  line += ")";
  return line;
}

Error errno_error(int code, std::string_view text, Error::Side side) {
  const bool full = code == ENOSPC || code == EDQUOT;
  return Error{.kind = full ? Error::Kind::no_space : Error::Kind::io,
               .side = side,
               .code = code,
               .text = text};
}

}  // namespace bw

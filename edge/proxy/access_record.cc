#include "edge/proxy/access_record.h"

namespace bw::edge {

std::string_view to_text(Verdict verdict) {
  switch (verdict) {
    case Verdict::hit:
      return "hit";
    case Verdict::stale:
      return "stale";
    case Verdict::revalidated:
      return "revalidated";
    case Verdict::miss:
      return "miss";
    case Verdict::pass:
      return "pass";
    case Verdict::limited:
      return "limited";
    case Verdict::denied:
      return "denied";
    case Verdict::error:
      return "error";
  }
  return "";
}

std::string_view to_text(ServedBy served_by) {
  switch (served_by) {
    case ServedBy::none:
      return "";
    case ServedBy::memory:
      return "memory";
    case ServedBy::disk:
      return "disk";
    case ServedBy::shield:
      return "shield";
    case ServedBy::origin:
      return "origin";
  }
  return "";
}

}  // namespace bw::edge

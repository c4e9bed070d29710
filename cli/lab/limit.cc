// A rate limit refuses beyond its burst, says so in fields, and concerns its paths only.
#include "cli/lab/step.h"

namespace bw::cli {

Account limit_refuses_and_lets_through(Lab& lab) {
  const auto refused = [&] {
    return lab.metric("fra1-a", "breakwater_limit_decisions_total", "decision=\"refused\"");
  };
  const double before = refused();
  int good = 0;
  int over = 0;
  Got last;
  for (int i = 0; i < 12; ++i) {
    const Got got = lab.get(lab.scripted("fra1-a", "/limited/" + std::to_string(i)));
    if (got.status == 429) {
      ++over;
      last = got;
    } else if (got.status == 200) {
      ++good;
    } else {
      return broke("a request got " + got.text());
    }
  }
  if (good < 5 || over < 3) {
    return broke(std::to_string(good) + " let through and " + std::to_string(over) + " refused");
  }
  for (const std::string_view field : {"retry-after", "ratelimit", "ratelimit-policy"}) {
    if (last.field(field).empty()) return broke("429 without " + std::string(field));
  }
  if (last.field("content-type").find("application/problem+json") == std::string::npos) {
    return broke("429 is no problem+json");
  }
  const Got other = lab.get(lab.scripted("fra1-a", "/fresh/beside-the-limit"));
  if (other.status != 200) return broke("another path: " + other.text());
  if (refused() - before < over) return broke("fra1-a counted fewer refusals than it made");
  return held(std::to_string(good) + " let through, " + std::to_string(over) +
              " refused: RateLimit: " + last.field("ratelimit"));
}

}  // namespace bw::cli

// Many clients at once: one fetch for what can be kept, all in parallel for what can't.
#include <atomic>
#include <set>
#include <thread>

#include "cli/lab/step.h"

namespace bw::cli {
namespace {

constexpr size_t kClients = 200;
constexpr size_t kWaiting = 20;

double coalesced(Lab& lab, std::string_view edge) {
  return lab.metric(edge, "breakwater_coalesced_total", "site=\"script\"");
}

}  // namespace

Account one_fetch_for_a_crowd(Lab& lab) {
  const std::string path = "/slow/crowd";
  const double before = coalesced(lab, "fra1-a") + coalesced(lab, "iad1-a");
  const uint64_t fetched = lab.script().count(path);
  std::atomic<size_t> begun{0};
  std::vector<Ask> asks;
  for (size_t i = 0; i < kClients; ++i) {
    asks.push_back(lab.scripted(i % 2 == 0 ? "fra1-a" : "iad1-a", path, Ask::Over::http1));
    // The origin sends its second half only when all have seen the first.
    asks.back().on_first_byte = [&] {
      if (++begun == kClients) lab.script().release(path);
    };
  }
  const std::vector<Got> got = lab.client().ask_all(asks);
  Duration slowest{};
  for (const Got& one : got) {
    if (one.status != 200 || one.error || one.body.size() != got[0].body.size()) {
      return broke("a client got " + one.text() + " after " + std::to_string(begun) +
                   " clients had the first byte");
    }
    slowest = std::max(slowest, one.first_byte);
  }
  const uint64_t fetches = lab.script().count(path) - fetched;
  if (fetches != 1) return broke("the origin was asked " + std::to_string(fetches) + " times");
  const double followed = coalesced(lab, "fra1-a") + coalesced(lab, "iad1-a") - before;
  if (followed < double(kClients - 2)) {
    return broke("only " + std::to_string(int(followed)) + " requests were counted as coalesced");
  }
  return held("1 origin fetch; first byte at all " + std::to_string(kClients) + " within " +
              milliseconds_text(slowest) + ", before the origin ended");
}

Account uncacheable_releases_all(Lab& lab) {
  const std::string path = "/private/crowd";
  lab.script().gather(path, kWaiting - 1);
  const double before = coalesced(lab, "fra1-a");
  const std::vector<Ask> asks(kWaiting, lab.scripted("fra1-a", path, Ask::Over::http1));
  // The first is answered when all others wait for it.
  bool waited = false;
  std::thread watcher([&] {
    waited = lab.until([&] { return coalesced(lab, "fra1-a") - before >= double(kWaiting - 1); },
                       std::chrono::seconds(5));
    lab.script().release(path);
  });
  const std::vector<Got> got = lab.client().ask_all(asks);
  watcher.join();
  if (!waited) return broke("the others did not wait for the first");
  std::set<std::string> bodies;
  for (const Got& one : got) {
    if (one.status != 200 || one.error) return broke("a client got " + one.text());
    if (!bodies.insert(one.body).second) return broke("two clients got one private answer");
  }
  const size_t together = lab.script().most_together(path);
  if (together < kWaiting - 1) {
    return broke("only " + std::to_string(together) + " were under way together");
  }
  return held(std::to_string(together) + " fetches in parallel, each client its own answer");
}

}  // namespace bw::cli

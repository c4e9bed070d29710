// The name leads each client to its POP, and around one that is dead.
#include <algorithm>

#include "cli/lab/step.h"

namespace bw::cli {
namespace {

struct Client3 {
  std::string_view subnet;
  std::string_view edge;
};
constexpr Client3 kClients[] = {
    {"198.51.100.0/24", "fra1-a"}, {"203.0.113.0/24", "iad1-a"}, {"192.0.2.0/24", "sin1-a"}};

double queries(Lab& lab, std::string_view transport) {
  return lab.metric("geodns", "breakwater_dns_queries_total",
                    "transport=\"" + std::string(transport) + "\",outcome=\"answer\"");
}

}  // namespace

Account three_clients_three_pops(Lab& lab) {
  const double before[] = {queries(lab, "udp"), queries(lab, "tcp")};
  std::string all;
  for (const Client3& client : kClients) {
    const std::string wanted = lab.plan().part(client.edge).https.ip().text();
    for (const char* transport : {"+notcp", "+tcp"}) {
      std::vector<std::string> found;
      // A POP that was away comes back after 20 s clean.
      const bool good = lab.until(
          [&] {
            found = lab.dig(kShopHost, client.subnet, transport);
            return found.size() == 1 && found.front() == wanted;
          },
          std::chrono::seconds(40));
      if (!good) {
        return broke("dig " + std::string(transport) + " +subnet=" + std::string(client.subnet) +
                     " got " + (found.empty() ? "nothing" : found.front()) + " instead of " +
                     wanted);
      }
    }
    all += (all.empty() ? "" : ", ") + std::string(client.subnet) + " " +
           std::string(client.edge.substr(0, 4));
  }
  if (queries(lab, "udp") < before[0] + 3 || queries(lab, "tcp") < before[1] + 3) {
    return broke("geodns counted fewer answers than it gave");
  }
  return held(all);
}

Account killed_pop_is_left_out(Lab& lab) {
  const std::string dead = lab.plan().part("iad1-a").https.ip().text();
  const std::string_view subnet = kClients[1].subnet;
  lab.kill("iad1-a");
  const MonoTime from = lab.clock().mono();
  std::vector<std::string> found;
  const bool moved = lab.until(
      [&] {
        found = lab.dig(kShopHost, subnet, "+notcp");
        return !found.empty() && std::find(found.begin(), found.end(), dead) == found.end();
      },
      std::chrono::seconds(20));
  if (!moved) {
    return broke("the name still has " + (found.empty() ? "nothing" : found.front()));
  }
  const Duration took = lab.clock().mono() - from;
  if (lab.metric("geodns", "breakwater_pop_address_up", "pop=\"iad1\"") != 0) {
    return broke("geodns counts iad1 as up");
  }
  std::string why;
  if (!lab.start("iad1-a", &why)) return broke(why);
  return held("clients of iad1 get " + found.front() + " " + milliseconds_text(took) +
              " after the kill");
}

}  // namespace bw::cli

#include "edge/upstream/balance.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>
#include <vector>

namespace bw::edge {
namespace {

uint64_t mix(uint64_t a, uint64_t b) {
  uint64_t z = a ^ (b * 0x9e3779b97f4a7c15ULL);
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
  return z ^ (z >> 31);
}

// Weighted rendezvous: the greatest -weight / ln(u) wins, with u in (0, 1) from member and key.
double rendezvous_score(const MemberView& member, uint64_t key_hash) {
  const uint64_t bits = mix(member.id, key_hash);
  const double u = (static_cast<double>(bits >> 11) + 0.5) / 9007199254740992.0;
  return -static_cast<double>(member.weight) / std::log(u);
}

std::vector<size_t> candidates_of(std::span<const MemberView> members) {
  for (const bool count_ejected : {false, true}) {
    uint32_t best = std::numeric_limits<uint32_t>::max();
    std::vector<size_t> found;
    for (size_t i = 0; i < members.size(); ++i) {
      const MemberView& m = members[i];
      if (m.drain || m.tried || (m.ejected && !count_ejected)) continue;
      if (m.priority > best) continue;
      if (m.priority < best) found.clear();
      best = m.priority;
      found.push_back(i);
    }
    if (!found.empty()) return found;
  }
  return {};
}

}  // namespace

std::string_view to_text(Balance balance) {
  switch (balance) {
    case Balance::round_robin:
      return "round_robin";
    case Balance::least_requests:
      return "least_requests";
    case Balance::hash:
      return "hash";
    case Balance::weighted:
      return "weighted";
  }
  return "unknown";
}

std::optional<size_t> pick_member(std::span<const MemberView> members, const PickInput& input) {
  const std::vector<size_t> among = candidates_of(members);
  if (among.empty()) return std::nullopt;
  switch (input.balance) {
    case Balance::round_robin:
      return among[input.turn % among.size()];
    case Balance::least_requests: {
      // Starts at a random place so that equal members share evenly.
      const size_t start = input.random % among.size();
      size_t best = among[start];
      for (size_t k = 1; k < among.size(); ++k) {
        const size_t i = among[(start + k) % among.size()];
        const uint64_t load = uint64_t{members[i].inflight} * members[best].weight;
        if (load < uint64_t{members[best].inflight} * members[i].weight) best = i;
      }
      return best;
    }
    case Balance::hash:
      return *std::max_element(among.begin(), among.end(), [&](size_t a, size_t b) {
        return rendezvous_score(members[a], input.key_hash) <
               rendezvous_score(members[b], input.key_hash);
      });
    case Balance::weighted: {
      uint64_t total = 0;
      for (const size_t i : among) total += members[i].weight;
      if (total == 0) return among[input.random % among.size()];
      uint64_t draw = input.random % total;
      for (const size_t i : among) {
        if (draw < members[i].weight) return i;
        draw -= members[i].weight;
      }
      return among.back();
    }
  }
  return std::nullopt;
}

}  // namespace bw::edge

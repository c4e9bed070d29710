#include "geo/health.h"

#include <algorithm>
#include <bit>

#include "core/text/json.h"

namespace bw::geo {
namespace {

constexpr uint8_t kLastThree = 0b111;
constexpr uint8_t kLastFive = 0b11111;
constexpr size_t kMaxNodes = 10'000;

std::optional<net::Ip> ip_of(const std::string& text) {
  if (const Result<net::Ip> ip = net::Ip::parse(text); ip.ok()) return *ip;
  const Result<net::Address> address = net::Address::parse(text);
  if (!address || address->family() != net::Address::Family::ip) return std::nullopt;
  return address->ip();
}

}  // namespace

bool AddressHealth::probed(bool good, MonoTime now) {
  const bool was = up();
  failures_ = static_cast<uint8_t>((failures_ << 1 | (good ? 0 : 1)) & kLastFive);
  switch (state_) {
    case State::unknown:
      state_ = good ? State::up : State::down;
      if (good) came_up_ = now;
      break;
    case State::up:
      if ((failures_ & kLastThree) == kLastThree || std::popcount(failures_) >= 3) {
        state_ = State::down;
        clean_since_.reset();
        // Down again soon after it came up: it has to stay clean for longer.
        const bool flaps = ever_up_ && came_up_ && now - *came_up_ < kMaxHold;
        if (flaps) hold_ = std::min(hold_ * 2, kMaxHold);
        if (!flaps) hold_ = kHold;
      }
      break;
    case State::down:
      if (!good) {
        clean_since_.reset();
      } else if (!clean_since_) {
        clean_since_ = now;
      }
      if (good && (!came_up_ || now - *clean_since_ >= hold_)) {
        state_ = State::up;
        // A first failure after a first success is no flapping yet.
        ever_up_ = came_up_.has_value();
        came_up_ = now;
        failures_ = 0;
      }
      break;
  }
  return up() != was;
}

Result<std::vector<RegisteredNode>> parse_nodes(std::string_view json) {
  const Result<text::Json> parsed =
      text::Json::parse(json, {.max_bytes = 4 << 20, .max_depth = 16});
  if (!parsed) return parsed.error();
  const text::Json& list = parsed->get("nodes");
  if (!list.is_array() || list.size() > kMaxNodes) {
    return Error{
        .kind = Error::Kind::malformed, .side = Error::Side::upstream, .text = "list of nodes"};
  }
  std::vector<RegisteredNode> nodes;
  for (const text::Json& item : list.items()) {
    RegisteredNode node;
    node.name = item.get("name").as_string().value_or("");
    node.pop = item.get("pop").as_string().value_or("");
    node.role = item.get("role").as_string().value_or("");
    node.ready = item.get("ready").as_bool().value_or(false);
    for (const text::Json& address : item.get("addresses").items()) {
      if (const auto text = address.as_string()) node.addresses.emplace_back(*text);
    }
    nodes.push_back(std::move(node));
  }
  return nodes;
}

HealthBoard::HealthBoard(const std::vector<Pop>& pops, const HealthBoard* before) : pops_(pops) {
  for (const Pop& pop : pops_) {
    std::vector<Address>& mine = addresses_.emplace_back(pop.addresses.size());
    if (before == nullptr) continue;
    for (size_t p = 0; p < before->pops_.size(); ++p) {
      if (before->pops_[p].name != pop.name) continue;
      for (size_t i = 0; i < mine.size(); ++i) {
        const auto& old = before->pops_[p].addresses;
        const auto at = std::find(old.begin(), old.end(), pop.addresses[i]);
        if (at != old.end()) mine[i] = before->addresses_[p][size_t(at - old.begin())];
      }
    }
  }
}

bool HealthBoard::up(size_t pop, size_t address) const {
  const Address& one = addresses_[pop][address];
  return one.registry_ready && one.probe.up();
}

bool HealthBoard::probed(size_t pop, size_t address, bool good, MonoTime now) {
  const bool was = up(pop, address);
  addresses_[pop][address].probe.probed(good, now);
  return up(pop, address) != was;
}

bool HealthBoard::registered(const std::vector<RegisteredNode>& nodes) {
  bool changed = false;
  for (size_t p = 0; p < pops_.size(); ++p) {
    // Nodes of the POP whose addresses name none of ours speak for the POP as a whole.
    bool named = false;
    bool any = false;
    bool any_ready = false;
    std::map<net::Ip, bool> ready;
    for (const RegisteredNode& node : nodes) {
      if (node.pop != pops_[p].name || node.role == "shield") continue;
      any = true;
      any_ready = any_ready || node.ready;
      for (const std::string& text : node.addresses) {
        const std::optional<net::Ip> ip = ip_of(text);
        if (!ip) continue;
        ready[*ip] = ready[*ip] || node.ready;
        const auto& ours = pops_[p].addresses;
        named = named || std::find(ours.begin(), ours.end(), *ip) != ours.end();
      }
    }
    for (size_t i = 0; i < addresses_[p].size(); ++i) {
      const bool was = up(p, i);
      const auto at = ready.find(pops_[p].addresses[i]);
      addresses_[p][i].registry_ready =
          at != ready.end() ? at->second : (named || !any || any_ready);
      changed = changed || up(p, i) != was;
    }
  }
  return changed;
}

Health HealthBoard::view() const {
  Health health;
  for (size_t p = 0; p < pops_.size(); ++p) {
    std::vector<bool>& row = health.up.emplace_back();
    for (size_t i = 0; i < addresses_[p].size(); ++i) row.push_back(up(p, i));
  }
  return health;
}

std::string HealthBoard::encode() const {
  text::Json pops = text::Json::object();
  for (size_t p = 0; p < pops_.size(); ++p) {
    text::Json down = text::Json::array();
    for (size_t i = 0; i < addresses_[p].size(); ++i) {
      if (!addresses_[p][i].probe.up()) down.push(pops_[p].addresses[i].text());
    }
    pops.set(pops_[p].name, std::move(down));
  }
  text::Json state = text::Json::object();
  state.set("down", std::move(pops));
  return state.dump(2) + "\n";
}

void HealthBoard::restore(std::string_view json) {
  const Result<text::Json> parsed = text::Json::parse(json);
  if (!parsed) return;
  for (size_t p = 0; p < pops_.size(); ++p) {
    // Without a probe nothing could bring it up again.
    if (!pops_[p].probe) continue;
    for (const text::Json& item : parsed->get("down").get(pops_[p].name).items()) {
      for (size_t i = 0; i < addresses_[p].size(); ++i) {
        if (item.as_string() == pops_[p].addresses[i].text()) addresses_[p][i].probe.restore_down();
      }
    }
  }
}

}  // namespace bw::geo

// Health: which addresses are up, from probes and from the purge service's registry.
//
// An address is up until its first result. Down: three failed probes in a row or three of five (at
// once when it never was up). Up again: after 20 s without a failure, a hold that doubles to 10 min
// while it flaps; one that never was up, at its first success. The registry's word, when it knows
// the address, is needed too. Nothing new from either: what was last known holds. Pure; the loop's.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/clock.h"
#include "geo/world.h"

namespace bw::geo {

class AddressHealth {
 public:
  static constexpr Duration kHold = std::chrono::seconds(20);
  static constexpr Duration kMaxHold = std::chrono::minutes(10);

  bool up() const { return state_ != State::down; }
  // True when up() changed.
  bool probed(bool good, MonoTime now);
  // From an earlier run: down until a probe says else.
  void restore_down() { state_ = State::down; }
  Duration hold() const { return hold_; }

 private:
  enum class State : uint8_t { unknown, up, down };
  State state_ = State::unknown;
  bool ever_up_ = false;
  uint8_t failures_ = 0;  // the last five results, newest lowest; a set bit failed
  Duration hold_ = kHold;
  std::optional<MonoTime> clean_since_;
  std::optional<MonoTime> came_up_;
};

// One node as the registry tells it.
struct RegisteredNode {
  std::string name, pop, role;
  std::vector<std::string> addresses;  // IP or IP:PORT
  bool ready = false;
};
// The body of GET /v1/nodes.
Result<std::vector<RegisteredNode>> parse_nodes(std::string_view json);

// All addresses of a world's POPs.
class HealthBoard {
 public:
  // Takes over what `before` (may be null) knew of the same addresses.
  HealthBoard(const std::vector<Pop>& pops, const HealthBoard* before);

  // Both answer whether view() changed.
  bool probed(size_t pop, size_t address, bool good, MonoTime now);
  bool registered(const std::vector<RegisteredNode>& nodes);

  Health view() const;
  bool up(size_t pop, size_t address) const;
  const std::vector<Pop>& pops() const { return pops_; }

  // What a restart needs: JSON with the addresses that are down.
  std::string encode() const;
  void restore(std::string_view json);

 private:
  struct Address {
    AddressHealth probe;
    bool registry_ready = true;
  };
  std::vector<Pop> pops_;
  std::vector<std::vector<Address>> addresses_;
};

}  // namespace bw::geo

// The upstream groups of a node, made from settings: addresses looked up, trust read from files.
//
// Threads: build() and look_up_again() block (names, files): start-up and the executor. Groups are
// shared. Errors: files go to Diagnostics; a name that can't be resolved now leaves its group
// without that member until a later look-up, and is logged.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "core/base/settings.h"
#include "edge/node/settings.h"
#include "edge/node/sites.h"
#include "edge/upstream/group.h"

namespace bw::edge {

class Upstreams {
 public:
  static std::unique_ptr<Upstreams> build(const EdgeSettings& settings,
                                          const std::vector<UpstreamPlan>& plans,
                                          Diagnostics& diagnostics);

  const std::map<std::pair<std::string, std::string>, std::shared_ptr<Group>>& groups() const {
    return groups_;
  }
  const std::shared_ptr<Group>& shields() const { return shields_; }
  // Names to addresses anew; members that stay keep their health.
  void look_up_again() const;

 private:
  // A member as written: a name has as many as it has addresses.
  struct Written {
    MemberSettings member;
    std::string host;
    uint16_t port = 0;
  };
  struct Named {
    std::shared_ptr<Group> group;
    std::vector<Written> written;
  };
  Named make(GroupSettings settings, std::vector<Written> written);
  static std::vector<MemberSettings> members_of(const std::vector<Written>& written, bool log);

  std::map<std::pair<std::string, std::string>, std::shared_ptr<Group>> groups_;
  std::shared_ptr<Group> shields_;
  std::vector<Named> named_;  // groups with names to look up
};

}  // namespace bw::edge

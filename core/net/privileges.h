// What a daemon settles with the system at its start and end: user, descriptors, the supervisor.
//
// Threads: from main, before other threads start (sd_notify from any). Blocks: user look-ups.
#pragma once

#include <cstdint>
#include <string>

#include "core/base/result.h"

namespace bw::net {

// Becomes `user` (with its supplementary groups) and `group` for good, after sockets are bound. An
// empty group: the user's own. An empty user, or a process that isn't root: nothing is done. `why`
// receives a line for people.
Status drop_privileges(const std::string& user, const std::string& group, std::string* why);

// Raises the soft limit of open descriptors to the hard one and answers it.
uint64_t raise_descriptor_limit();

// Tells the supervisor by NOTIFY_SOCKET; without one nothing happens. `state`: lines such as
// "READY=1", "STOPPING=1", "STATUS=...".
Status sd_notify(const std::string& state);
// RELOADING=1 with the MONOTONIC_USEC systemd asks for; tell "READY=1" when it is done.
Status sd_notify_reloading();

}  // namespace bw::net

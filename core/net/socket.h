// Small questions and settings of sockets, for the .cc files of net.
//
// Threads: any. An option the kernel refuses is left as it is: none of them is needed to work.
#pragma once

#include <string_view>

#include "core/net/address.h"

namespace bw::net {

void set_option(int fd, int level, int name, int value);
Address local_address(int fd);
Address peer_address(int fd);
// The error a socket holds (SO_ERROR), which this clears; 0: none.
int take_socket_error(int fd);
// The descriptor of this type (SOCK_STREAM, SOCK_DGRAM) that systemd passed under this name
// (sd_listen_fds(3)); -1: none.
int find_passed_descriptor(std::string_view name, int type);

}  // namespace bw::net

// Small questions and settings of sockets, for the .cc files of net.
//
// Threads: any. An option the kernel refuses is left as it is: none of them is needed to work.
#pragma once

#include "core/net/address.h"

namespace bw::net {

void set_option(int fd, int level, int name, int value);
Address local_address(int fd);
Address peer_address(int fd);
// The error a socket holds (SO_ERROR), which this clears; 0: none.
int take_socket_error(int fd);

}  // namespace bw::net

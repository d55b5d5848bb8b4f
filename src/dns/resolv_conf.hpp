// resolv.conf(5).
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "event/net/address.hpp"

namespace event_cpp::dns::detail {

inline constexpr int kPort = 53;

// What it says of the things that Options can say as well.
struct ResolvConf {
  std::vector<net::Address> servers;
  std::vector<std::string> search;
  int ndots = 1;
  bool rotate = false;
};

// Reads nameserver (also with a port, as 127.0.0.1:5353 or [::1]:5353), domain, search, and the
// options ndots and rotate. Ignores all else, and what makes no sense. c-ares 1.18.1 reads this
// file only for a channel, which takes 74 KiB, and does not show the search list.
ResolvConf parse_resolv_conf(std::string_view text);

}  // namespace event_cpp::dns::detail

// Names of hosts: which are names at all, and which need no server.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "event/net/address.hpp"

namespace event_cpp::dns::detail {

// The longest name in its usual form, without the dot at the end, and the longest label.
inline constexpr std::size_t kLongestName = 253;
inline constexpr std::size_t kLongestLabel = 63;

// The address that the text is: 127.0.0.1, ::1, [::1], fe80::1%2. Without a port.
std::optional<net::Address> literal(std::string_view text, int port);

struct HostName {
  std::string text;       // in lower case, without the dot at the end
  bool absolute = false;  // it had that dot: the search list is not for it
};

// Nothing if it is no host name. See Resolver::resolve() for what is one.
std::optional<HostName> parse_host_name(std::string_view text);

// A domain of a search list, in lower case and without dots around it: empty for the root. Nothing
// if it is no domain.
std::optional<std::string> parse_domain(std::string_view text);

bool is_localhost(std::string_view name);  // RFC 6761
bool is_onion(std::string_view name);      // must not be asked for: RFC 7686

// The names to ask for, in order, as resolv.conf(5) says.
std::vector<std::string> names_to_ask(HostName host, const std::vector<std::string>& search,
                                      int ndots);

}  // namespace event_cpp::dns::detail

#include "dns/servers.hpp"

#include <algorithm>
#include <chrono>

namespace event_cpp::dns::detail {
namespace {

constexpr Duration kAskedLast = std::chrono::seconds(30);

// The unspecified address is this machine, whose answers come from the loopback address.
net::Address specified(const net::Address& address) {
  const int port = address.port();
  if (address == net::Address::any_ipv4(port)) return net::Address::loopback(port);
  if (address == net::Address::parse("::", port)) return net::Address::loopback_ipv6(port);
  return address;
}

}  // namespace

void Servers::set(const std::vector<net::Address>& addresses) {
  std::vector<Server> servers;
  for (const net::Address& given : addresses) {
    const net::Address address = specified(given);
    const Server* const known = find(address);
    servers.push_back(known != nullptr ? *known : Server{address});
  }
  servers_ = std::move(servers);
}

void Servers::forget_failures() noexcept {
  for (Server& server : servers_) server.last_until = TimePoint::min();
}

std::vector<net::Address> Servers::in_order(TimePoint now, bool rotate) {
  std::vector<net::Address> order;
  order.reserve(servers_.size());
  const std::size_t first = rotate && !servers_.empty() ? turn_++ % servers_.size() : 0;
  for (const bool has_failed : {false, true}) {
    for (std::size_t i = 0; i < servers_.size(); ++i) {
      const Server& server = servers_[(first + i) % servers_.size()];
      if ((server.last_until > now) == has_failed) order.push_back(server.address);
    }
  }
  return order;
}

void Servers::failed(const net::Address& address, TimePoint now) noexcept {
  if (Server* const server = find(address)) server->last_until = now + kAskedLast;
}

void Servers::worked(const net::Address& address) noexcept {
  if (Server* const server = find(address)) server->last_until = TimePoint::min();
}

Servers::Server* Servers::find(const net::Address& address) noexcept {
  const auto found = std::find_if(servers_.begin(), servers_.end(),
                                  [&](const Server& server) { return server.address == address; });
  return found != servers_.end() ? &*found : nullptr;
}

}  // namespace event_cpp::dns::detail

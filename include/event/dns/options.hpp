// Options of a Resolver, and the Answer that it returns.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "event/net/address.hpp"
#include "event/time.hpp"

namespace event_cpp::dns {

struct Options {
  // The servers to ask, in this order, each an IP address with a port. Empty: those of resolv_conf.
  std::vector<net::Address> servers;
  // The search list. Empty: that of resolv_conf. Invalid domains are ignored.
  std::vector<std::string> search;
  // A name with at least so many dots is first looked up without the search list, one with fewer
  // dots last: see resolv.conf(5). No value: that of resolv_conf, or 1.
  std::optional<int> ndots;

  // The limit for one answer of one server. A new attempt over TCP has a limit of its own.
  AnyDuration timeout = std::chrono::seconds(2);
  // The limit for a whole lookup, with all attempts and names of the search list. If only the
  // addresses of one family have come by then, they are the answer.
  AnyDuration limit = std::chrono::seconds(10);
  // How often each server is asked. Below 1 counts as 1.
  int tries = 2;
  // Each query starts with the next server of the list. Also on if resolv_conf has "rotate".
  bool rotate = false;
  // Looks a name up in hosts_file before asking servers.
  bool hosts = true;
  // With `edns`, queries tell the server that an answer over UDP may have up to `edns_size` bytes
  // (RFC 6891). The size is clamped to 512 ... 65,535.
  bool edns = true;
  int edns_size = 1232;

  // The most names in the cache; the least recently used one is evicted. 0: no cache.
  std::size_t cache = 4096;
  // The most queries under way at once, each with a socket; further ones wait. 0 counts as 1.
  std::size_t at_once = 256;
  // The longest time for which addresses are cached, and for which it is cached that a name or an
  // address does not exist. A shorter TTL from the server applies.
  AnyDuration ttl_most = std::chrono::hours(1);
  AnyDuration negative_most = std::chrono::seconds(30);

  // The files to read: see resolv.conf(5), hosts(5). An empty path: none. A lookup reads a file
  // again if it has changed, which is checked at most once a second. A file that is missing, not a
  // regular one, or not readable for this process counts as empty. If it cannot be read for another
  // reason, for example because no fd is left, its earlier content stays in use.
  std::filesystem::path resolv_conf = "/etc/resolv.conf";
  std::filesystem::path hosts_file = "/etc/hosts";
};

enum class Family : std::uint8_t { any, v4, v6 };

struct Answer {
  std::vector<net::Address> addresses;  // best first: RFC 6724; at most 64 of each family
  std::string canonical;                // the canonical name, after aliases (CNAME), in lower case
  Duration ttl{};                       // remaining time to live; zero if not from a server
  bool cached = false;                  // answered without asking a server
};

}  // namespace event_cpp::dns

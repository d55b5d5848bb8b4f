// How a Resolver asks, and what it answers.
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
  // The servers to ask, in this order, each with its port. Empty: those of resolv_conf.
  std::vector<net::Address> servers;
  // Domains that are appended to a name with fewer than `ndots` dots. Empty: those of resolv_conf.
  // What is no domain is left out.
  std::vector<std::string> search;
  // A name with so many dots is asked for as it is first. Nothing: as resolv_conf says, or 1.
  std::optional<int> ndots;

  // The time for one server to answer, once.
  Duration timeout = std::chrono::seconds(2);
  // The time for a whole lookup, whatever it consists of. If the addresses of one family are there
  // by then, they are the answer.
  Duration limit = std::chrono::seconds(10);
  // How often each server is asked.
  int tries = 2;
  // Each query begins with another server. Also on if resolv_conf says so.
  bool rotate = false;
  // Looks into hosts_file first.
  bool hosts = true;
  // Tells the server that answers over UDP may have so many bytes (RFC 6891). Below 512 counts as
  // 512, and above 65,535 as that.
  bool edns = true;
  int edns_size = 1232;

  // Names whose answers are kept. 0: none.
  std::size_t cache = 4096;
  // Queries on their way at once, each with a socket; others wait for their turn. 0 counts as 1.
  std::size_t at_once = 256;
  // The longest time for which an answer is kept, and that a name or an address does not exist.
  Duration ttl_most = std::chrono::hours(1);
  Duration negative_most = std::chrono::seconds(30);

  // The files that are read: see resolv.conf(5), hosts(5). Each is looked at again at most once a
  // second, when a name is looked up. Empty: none. What is no regular file, or one that this
  // process may not read, counts as empty. While one cannot be read for another reason, such as
  // that no descriptor is left, what it said before holds.
  std::filesystem::path resolv_conf = "/etc/resolv.conf";
  std::filesystem::path hosts_file = "/etc/hosts";
};

enum class Family : std::uint8_t { any, v4, v6 };

struct Answer {
  std::vector<net::Address> addresses;  // best first: RFC 6724
  std::string canonical;                // the name that has the addresses, in lower case
  Duration ttl{};                       // for how long this holds; zero if no server has said so
  bool cached = false;                  // no server was asked for it
};

}  // namespace event_cpp::dns

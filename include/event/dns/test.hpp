// test::Server: a name server for tests.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "event/base.hpp"
#include "event/dns/options.hpp"

namespace event_cpp::dns::test {

// Answers queries over UDP and TCP on a free port of 127.0.0.1, or of the base's simulated network.
// It knows the names it was given; others do not exist. Its faults show what a program does when a
// server, or somebody who pretends to be one, misbehaves. Names compare as DNS does: without case,
// and without the dot at the end.
//
// Thread-safety: belongs to the thread that runs its base. Lifetime: the base outlives it. It keeps
// dispatch() running.
class EVENT_API Server {
 public:
  // Errors: throws std::system_error, std::bad_alloc.
  explicit Server(Base& base);
  ~Server();
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  // For Options::servers.
  net::Address address() const;

  // The addresses of a name; their ports do not count. Replaces what it had. Without an address of
  // a family, the answer is that there is none.
  void answer(std::string name, std::vector<net::Address> addresses,
              Duration ttl = std::chrono::minutes(1));
  // `name` is an alias (CNAME) of `target`, which has the addresses.
  void alias(std::string name, std::string target, Duration ttl = std::chrono::minutes(1));
  // For how long a resolver may keep that something does not exist: one minute by default. Zero:
  // the answer does not say (it has no SOA).
  void negative_ttl(Duration ttl);

  enum class Fault : std::uint8_t {
    drop,             // no answer
    delay,            // the answer comes after `time`
    truncate,         // over UDP: "too long", so that TCP is tried
    nxdomain,         // no such name
    servfail,         // "cannot"
    refused,          // "will not"
    formerr_on_edns,  // "do not understand", if the query has EDNS
    badvers_on_edns,  // "do not know this version", if the query has EDNS
    wrong_id,         // an answer with another id
    wrong_question,   // an answer to another question
    wrong_source,     // an answer from another port
    garbage,          // bytes that are no message
    half_tcp          // truncate, and over TCP half of the answer; the rest after `time`, or never
  };
  // From now on queries for `name`, of this family, meet this; so many of them, or all if `times`
  // is negative. The fault that was given last comes first.
  void fault(std::string name, Fault fault, int times = -1, Family family = Family::any,
             Duration time = {});

  // The names that were asked for, in order, in lower case: one for each query.
  std::vector<std::string> seen() const;
  struct Query {
    std::string name;
    Family family = Family::any;  // any: the query was for neither A nor AAAA
    bool tcp = false;
    int edns_size = 0;  // 0: without EDNS
    std::uint16_t id = 0;
    net::Address from;  // over UDP
  };
  std::vector<Query> queries() const;

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace event_cpp::dns::test

// test::Server: a name server for tests.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "event/base.hpp"
#include "event/dns/options.hpp"

namespace event_cpp::dns::test {

// A name server that answers over UDP and TCP on a free port of 127.0.0.1, or of the base's
// simulated network. It answers for the names that it was given, and with NXDOMAIN for others.
// fault() makes it misbehave like a broken or forged server. Names are compared without case and
// without the dot at the end.
//
// Thread-safety: belongs to the thread that runs its base. Lifetime: the base outlives it. While it
// exists, dispatch() does not return for lack of events.
class EVENT_API Server {
 public:
  // Errors: throws std::system_error, std::bad_alloc.
  explicit Server(Base& base);
  ~Server();
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  // The address to put into Options::servers.
  net::Address address() const;

  // Sets the addresses of a name, and replaces earlier ones. Their ports are ignored. A query for a
  // family without an address gets an empty answer (dns::Errc::no_address).
  void answer(std::string name, std::vector<net::Address> addresses,
              Duration ttl = std::chrono::minutes(1));
  // Makes `name` an alias (CNAME) of `target`, which has the addresses.
  void alias(std::string name, std::string target, Duration ttl = std::chrono::minutes(1));
  // Sets how long a resolver may cache a negative answer: one minute by default. Zero: such answers
  // have no SOA record, and so no TTL.
  void negative_ttl(Duration ttl);

  enum class Fault : std::uint8_t {
    drop,             // no answer
    delay,            // the answer comes after `time`
    truncate,         // over UDP the TC bit is set, so that the client tries TCP
    nxdomain,         // NXDOMAIN: no such name
    servfail,         // SERVFAIL
    refused,          // REFUSED
    formerr_on_edns,  // FORMERR, if the query has EDNS
    badvers_on_edns,  // BADVERS, if the query has EDNS
    wrong_id,         // an answer with another id
    wrong_question,   // an answer to another question
    wrong_source,     // an answer from another port
    garbage,          // bytes that are not a DNS message
    half_tcp  // as truncate; over TCP half of the answer, the rest after `time` (zero: never)
  };
  // Applies `fault` to the next `times` queries for `name` and `family`; to all if `times` is
  // negative. If several faults apply, the one that was added last is used.
  void fault(std::string name, Fault fault, int times = -1, Family family = Family::any,
             Duration time = {});

  // The names of all queries so far, in order, in lower case.
  std::vector<std::string> seen() const;
  struct Query {
    std::string name;
    Family family = Family::any;  // any: the query was for neither A nor AAAA
    bool tcp = false;
    int edns_size = 0;  // 0: without EDNS
    std::uint16_t id = 0;
    net::Address from;  // over UDP
  };
  // All queries so far, in order.
  std::vector<Query> queries() const;

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace event_cpp::dns::test

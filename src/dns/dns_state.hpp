// What name resolution keeps for a base.
#pragma once

#include <memory>
#include <vector>

#include "event/base.hpp"
#include "event/dns/resolver.hpp"

namespace event_cpp::dns::detail {

struct DnsState {
  // Made when a name was looked up while there was no other one.
  std::unique_ptr<Resolver> of_the_base;
  std::vector<std::shared_ptr<Lookups>> resolvers;  // that are open; the last one is net's
};

// Made when it is first asked for. Errors: throws std::bad_alloc.
DnsState& state_of(Base& base);
// Null if there is none, as while the base is being destroyed.
DnsState* find_state(Base& base) noexcept;

}  // namespace event_cpp::dns::detail

#include "event/dns/resolver.hpp"

#include <algorithm>
#include <utility>

#include "dns/dns_state.hpp"
#include "dns/lookups.hpp"
#include "event/detail/floors.hpp"
#include "event/net/connect.hpp"

namespace event_cpp::dns {

using event_cpp::detail::Floor;
using event_cpp::detail::floors_of;

detail::DnsState* detail::find_state(Base& base) noexcept {
  return floors_of(base).get<DnsState>(Floor::dns);
}

detail::DnsState& detail::state_of(Base& base) {
  auto* const state = find_state(base);
  if (state != nullptr) return *state;
  return floors_of(base).set(Floor::dns, std::make_unique<DnsState>());
}

Resolver::Resolver(Base& base, Options options)
    : lookups_(std::make_shared<detail::Lookups>(base, std::move(options))) {
  detail::state_of(base).resolvers.push_back(lookups_);
}

Resolver::~Resolver() { close(); }

void Resolver::close() noexcept {
  if (auto* const state = detail::find_state(lookups_->base())) {
    std::erase(state->resolvers, lookups_);
  }
  lookups_->close();
}

co::Task<Answer> Resolver::resolve(std::string name, int port, Family family) {
  return detail::Lookups::resolve(lookups_, std::move(name), port, family);
}

void Resolver::flush() noexcept { lookups_->flush(); }
void Resolver::reload() { lookups_->reload(); }
std::size_t Resolver::under_way() const noexcept { return lookups_->under_way(); }
Resolver::Stats Resolver::stats() const noexcept { return lookups_->stats(); }

namespace {

co::Task<std::vector<net::Address>> resolve_for_net(Base& base, std::string host, int port) {
  detail::DnsState& state = detail::state_of(base);
  if (state.resolvers.empty()) {
    state.of_the_base.reset();  // if it was closed
    state.of_the_base = std::make_unique<Resolver>(base);
  }
  std::shared_ptr<detail::Lookups> lookups = state.resolvers.back();
  Answer answer =
      co_await detail::Lookups::resolve(std::move(lookups), std::move(host), port, Family::any);
  co_return std::move(answer.addresses);
}

}  // namespace

// Has net use this library. Nobody refers to this variable, so whoever links the library asks the
// linker for it by name: see cmake/dns.cmake. It is in this file so that a program that
// makes a Resolver has it in any case.
namespace detail {

struct Registration {
  Registration() noexcept { net::detail::set_linked_resolver(&resolve_for_net); }
};
EVENT_API extern const Registration registration;
const Registration registration;

}  // namespace detail

}  // namespace event_cpp::dns

#include "event/co/timeout.hpp"

#include <new>
#include <system_error>

namespace event_cpp::co::detail {

void throw_timed_out() {
  throw std::system_error(std::make_error_code(std::errc::timed_out), "event::co::with_timeout");
}

Scope::Scope(Chain& outer, Wait& wait, bool shielded) noexcept
    : chain_(*this, *outer.scheduler), wait_(wait), limit_(outer.scheduler->base(), *this) {
  chain_.cancelled = outer.cancelled && !shielded;
  chain_.budget = outer.budget;
}

Scope::~Scope() {
  if (chain_.away) terminate_away();
}

void Scope::set_limit(Duration limit) { limit_.attach(limit); }

void Scope::clear_limit() noexcept { limit_.detach(); }

void Scope::Limit::expire(Event& event, Events /*fired*/) {
  Scope& scope = **std::launder(reinterpret_cast<Scope**>(static_cast<Limit&>(event).room()));
  scope.timed_out_ = true;
  scope.chain_.cancel();
}

void* Scope::ended(Chain& /*chain*/) noexcept { return wait_.finish(); }

}  // namespace event_cpp::co::detail

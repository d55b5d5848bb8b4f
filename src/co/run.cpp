#include "event/co/run.hpp"

#include <system_error>

#include "event/error.hpp"

namespace event_cpp::co::detail {

Root::Root(Base& base) : base_(base), chain_(*this, Scheduler::of(base)) {}

Root::~Root() {
  if (chain_.away) terminate_away();
}

void* Root::ended(Chain& /*chain*/) noexcept {
  ended_ = true;
  base_.stop();
  return nullptr;
}

void Root::wait() {
  try {
    base_.loop(RunMode::forever);
  } catch (...) {
    if (ended_) event_cpp::detail::withdraw_stop(base_);  // else the next dispatch() has it
    throw;
  }
  if (ended_) return;
  if (base_.has_work()) {
    throw std::system_error(std::make_error_code(std::errc::operation_canceled),
                            "event::co::run: the base was stopped");
  }
  throw std::system_error(Errc::deadlock, "event::co::run");
}

}  // namespace event_cpp::co::detail

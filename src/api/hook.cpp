#include "event/hook.hpp"

#include "event/event_class.hpp"
#include "loop/loop.hpp"

namespace event_cpp {

void Hook::link(Base& base) noexcept { detail::loop_of(base)->hooks().add(*this); }

void Hook::unlink() noexcept {
  if (hooks_ != nullptr) hooks_->remove(*this);
}

}  // namespace event_cpp

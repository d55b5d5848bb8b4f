#include "event/detail/owned.hpp"

#include "loop/loop.hpp"

namespace event_cpp::detail {

std::unique_ptr<OwnedEvent> OwnedEvent::take() noexcept {
  (previous_ != nullptr ? previous_->next_ : owner_.first_) = next_;
  if (next_ != nullptr) next_->previous_ = previous_;
  previous_ = next_ = nullptr;
  return std::unique_ptr<OwnedEvent>(this);
}

// What a callback captured may call after() again when it is destroyed.
bool OwnedEvents::drop() noexcept {
  const bool any = first_ != nullptr;
  while (first_ != nullptr) {
    const std::unique_ptr<OwnedEvent> owned(first_);
    first_ = owned->next_;
    if (first_ != nullptr) first_->previous_ = nullptr;
  }
  return any;
}

void OwnedEvents::attach(std::unique_ptr<OwnedEvent> owned, Duration timeout, bool keeps_alive) {
  // Of a base that is being destroyed: drop() is next.
  if (!loop_of(owned->base())->closing()) {
    owned->keep_alive(keeps_alive);
    owned->attach(timeout);
  }
  owned->next_ = first_;
  if (first_ != nullptr) first_->previous_ = owned.get();
  first_ = owned.release();
}

}  // namespace event_cpp::detail

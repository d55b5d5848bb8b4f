#include "event/detail/owned.hpp"

#include <utility>

namespace event_cpp::detail {

std::unique_ptr<OwnedEvent> OwnedEvent::take() noexcept {
  (previous_ != nullptr ? previous_->next_ : owner_.first_) = next_;
  if (next_ != nullptr) next_->previous_ = previous_;
  previous_ = next_ = nullptr;
  return std::unique_ptr<OwnedEvent>(this);
}

OwnedEvents::~OwnedEvents() {
  // What a callback captured may call after() again when it is destroyed: hence two loops.
  while (OwnedEvent* next = std::exchange(first_, nullptr)) {
    while (next != nullptr) {
      const std::unique_ptr<OwnedEvent> one(next);
      next = one->next_;
    }
  }
}

void OwnedEvents::attach(std::unique_ptr<OwnedEvent> owned, Duration timeout, bool keeps_alive) {
  owned->keep_alive(keeps_alive);
  owned->attach(timeout);
  owned->next_ = first_;
  if (first_ != nullptr) first_->previous_ = owned.get();
  first_ = owned.release();
}

}  // namespace event_cpp::detail

#include "loop/hook_lists.hpp"

namespace event_cpp::detail {

Hooks::~Hooks() {
  for (List& list : lists_) {
    while (list.first != nullptr) remove(*list.first);
  }
}

void Hooks::add(Hook& hook) noexcept {
  List& in = list(hook.when_);
  hook.hooks_ = this;
  hook.since_ = pass_;
  hook.previous_ = in.last;
  (in.last != nullptr ? in.last->next_ : in.first) = &hook;
  in.last = &hook;
  ++count_;
}

void Hooks::remove(Hook& hook) noexcept {
  List& from = list(hook.when_);
  (hook.previous_ != nullptr ? hook.previous_->next_ : from.first) = hook.next_;
  (hook.next_ != nullptr ? hook.next_->previous_ : from.last) = hook.previous_;
  if (next_ == &hook) next_ = hook.next_;
  hook.hooks_ = nullptr;
  hook.previous_ = hook.next_ = nullptr;
  --count_;
}

std::size_t Hooks::run(Hook::When when) {
  std::size_t ran = 0;
  ++pass_;
  next_ = list(when).first;
  while (Hook* const hook = next_) {
    next_ = hook->next_;
    if (hook->since_ == pass_) continue;
    ++ran;
    hook->callback_(*hook);
  }
  return ran;
}

}  // namespace event_cpp::detail

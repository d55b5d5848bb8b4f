// Which signatures of callbacks are accepted, and how each is called, for all classes of the
// library.
#pragma once

#include <type_traits>

#include "event/event_mask.hpp"

namespace event_cpp::detail {

// One concept for each signature of a callback. Self is the class that the callback belongs to.
template <class F, class Self>
concept TakesSelfAndEvents = std::is_invocable_v<F&, Self&, Events>;
template <class F, class Self>
concept TakesSelf = std::is_invocable_v<F&, Self&>;
template <class F>
concept TakesEvents = std::is_invocable_v<F&, Events>;
template <class F>
concept TakesNothing = std::is_invocable_v<F&>;
template <class F, class Self>
concept TakesSelfAndNumber = std::is_invocable_v<F&, Self&, int>;
template <class F>
concept TakesNumber = std::is_invocable_v<F&, int>;

// The accepted callbacks. One that can be called in several ways, such as a generic lambda, is
// called in the first of them, in this order:
//   f(Self&, Events fired)   f(Self&)   f(Events fired)   f()
template <class F, class Self>
concept CallbackOf =
    TakesSelfAndEvents<std::decay_t<F>, Self> || TakesSelf<std::decay_t<F>, Self> ||
    TakesEvents<std::decay_t<F>> || TakesNothing<std::decay_t<F>>;

// A callback of a class that also reports a number: a signal's, or a child's status. The order is
//   f(Self&, int)   f(Self&, Events fired)   f(int)   f(Self&)   f(Events fired)   f()
// The number has precedence: the body of a generic lambda may compile only with it.
template <class F, class Self>
concept NumberCallbackOf = TakesSelfAndNumber<std::decay_t<F>, Self> ||
                           TakesNumber<std::decay_t<F>> || CallbackOf<F, Self>;

template <class Self, class F>
void call_back(F& callback, Self& self, Events fired) {
  if constexpr (TakesSelfAndEvents<F, Self>) {
    static_cast<void>(callback(self, fired));
  } else if constexpr (TakesSelf<F, Self>) {
    static_cast<void>(callback(self));
  } else if constexpr (TakesEvents<F>) {
    static_cast<void>(callback(fired));
  } else {
    static_cast<void>(callback());
  }
}

template <class Self, class F>
void call_back(F& callback, Self& self, Events fired, int number) {
  if constexpr (TakesSelfAndNumber<F, Self>) {
    static_cast<void>(callback(self, number));
  } else if constexpr (TakesNumber<F> && !TakesSelfAndEvents<F, Self>) {
    static_cast<void>(callback(number));
  } else {
    call_back(callback, self, fired);
  }
}

}  // namespace event_cpp::detail

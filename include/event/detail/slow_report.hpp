// A callback for slow callbacks, with its type erased.
#pragma once

#include <memory>
#include <type_traits>
#include <utility>

#include "event/detail/export.hpp"
#include "event/stats.hpp"

namespace event_cpp::detail {

class EVENT_API SlowReport {
 public:
  virtual ~SlowReport() = default;
  virtual void operator()(const CallbackTime& slow) = 0;

  template <class F>
  static std::shared_ptr<SlowReport> make(F&& callback) {
    struct Report final : SlowReport {
      explicit Report(F&& f) : callback(std::forward<F>(f)) {}
      void operator()(const CallbackTime& slow) override { static_cast<void>(callback(slow)); }
      std::decay_t<F> callback;
    };
    return std::make_shared<Report>(std::forward<F>(callback));
  }
};

}  // namespace event_cpp::detail

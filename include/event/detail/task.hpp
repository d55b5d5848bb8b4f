// A function to run once, as post() takes it: move-only, and small ones without an allocation.
#pragma once

#include <concepts>
#include <type_traits>
#include <utility>

#include "event/detail/callable.hpp"

namespace event_cpp::detail {

class Task {
 public:
  template <class F>
  requires(!std::same_as<std::remove_cvref_t<F>, Task>) explicit Task(F&& callable)
      : ops_(&kOps<std::decay_t<F>>) {
    Stored<std::decay_t<F>>::create(storage_, std::forward<F>(callable));
  }
  Task(Task&& other) noexcept : ops_(std::exchange(other.ops_, nullptr)) { take(other); }
  Task& operator=(Task&& other) noexcept {
    if (this != &other) {
      reset();
      ops_ = std::exchange(other.ops_, nullptr);
      take(other);
    }
    return *this;
  }
  Task(const Task&) = delete;
  Task& operator=(const Task&) = delete;
  ~Task() { reset(); }

  void operator()() { ops_->call(storage_); }

 private:
  struct Ops {
    void (*call)(Storage&);
    void (*relocate)(Storage&, Storage&) noexcept;  // null: the bytes are all there is to it
    void (*destroy)(Storage&) noexcept;             // null: nothing to destroy
  };

  template <class F>
  static constexpr Ops kOps{
      [](Storage& storage) { static_cast<void>(Stored<F>::get(storage)()); },
      Stored<F>::kTrivial || !Stored<F>::kInline ? nullptr : &Stored<F>::relocate,
      Stored<F>::kTrivial ? nullptr : &Stored<F>::destroy};

  void take(Task& other) noexcept {
    if (ops_ != nullptr && ops_->relocate != nullptr) {
      ops_->relocate(other.storage_, storage_);
    } else {
      storage_ = other.storage_;
    }
  }

  void reset() noexcept {
    if (ops_ != nullptr && ops_->destroy != nullptr) ops_->destroy(storage_);
  }

  const Ops* ops_;
  Storage storage_;
};

}  // namespace event_cpp::detail

// The hooks of a base.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "event/hook.hpp"

namespace event_cpp::detail {

// A list of each kind. A hook may be added or removed while they are called, by themselves too.
class Hooks {
 public:
  Hooks() = default;
  ~Hooks();
  Hooks(const Hooks&) = delete;
  Hooks& operator=(const Hooks&) = delete;

  bool empty() const noexcept { return count_ == 0; }
  bool any(Hook::When when) const noexcept { return list(when).first != nullptr; }

  void add(Hook& hook) noexcept;
  void remove(Hook& hook) noexcept;

  // Calls the hooks of a kind, without those that are added meanwhile. Returns how many.
  std::size_t run(Hook::When when);

 private:
  struct List {
    Hook* first = nullptr;
    Hook* last = nullptr;
  };

  List& list(Hook::When when) noexcept { return lists_[static_cast<std::size_t>(when)]; }
  const List& list(Hook::When when) const noexcept {
    return lists_[static_cast<std::size_t>(when)];
  }

  std::array<List, 3> lists_;
  std::size_t count_ = 0;
  Hook* next_ = nullptr;    // to be called
  std::uint32_t pass_ = 0;  // calls of run()
};

}  // namespace event_cpp::detail

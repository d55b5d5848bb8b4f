// Floors: one pointer on each base for each layer ("floor") of the library above the core.
#pragma once

#include <array>
#include <cassert>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <utility>

namespace event_cpp::detail {

// From the lowest layer to the highest: each may use those before it.
enum class Floor : std::uint8_t { co, net, tls, dns, sim, inspect };
inline constexpr std::size_t kFloors = static_cast<std::size_t>(Floor::inspect) + 1;

// The state that the upper layers keep for one base: a pointer each, null until a program uses that
// layer. See floors_of(). Not thread-safe, as the base is not.
class Floors {
 public:
  Floors() = default;
  Floors(const Floors&) = delete;
  Floors& operator=(const Floors&) = delete;

  // Null if it was not set. Requires: T is what set() was given. Cost: a load.
  template <class T>
  T* get(Floor floor) const noexcept {
    return static_cast<T*>(slots_[index(floor)].state);
  }

  // Keeps it until the base is destroyed. Requires: get(floor) is null.
  template <class T>
  T& set(Floor floor, std::unique_ptr<T> state) noexcept {
    assert(slots_[index(floor)].state == nullptr && state != nullptr);
    T& kept = *state;
    slots_[index(floor)] = {state.release(),
                            [](void* owned) noexcept { delete static_cast<T*>(owned); }};
    return kept;
  }

  // For the base's destructor: destroys all states, the highest first, including those that are set
  // during this call. get() is null from the start of each destructor on. Returns whether there
  // were any.
  bool drop() noexcept {
    dropping_ = true;
    bool dropped = false;
    for (std::size_t above = slots_.size(); above > 0;) {
      const Slot slot = std::exchange(slots_[above - 1], {});
      if (slot.state == nullptr) {
        --above;
        continue;
      }
      dropped = true;
      slot.destroy(slot.state);
      above = slots_.size();
    }
    return dropped;
  }

  // Whether drop() was called: the base is being destroyed.
  bool dropping() const noexcept { return dropping_; }

 private:
  struct Slot {
    void* state = nullptr;
    void (*destroy)(void* owned) noexcept = nullptr;
  };

  static constexpr std::size_t index(Floor floor) noexcept {
    return static_cast<std::size_t>(floor);
  }

  std::array<Slot, kFloors> slots_;
  bool dropping_ = false;
};

}  // namespace event_cpp::detail

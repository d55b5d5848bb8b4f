// Type-erased storage for a callable: two pointers inline, a larger one allocated once.
#pragma once

#include <cstddef>
#include <memory>
#include <new>
#include <type_traits>
#include <utility>

namespace event_cpp::detail {

inline constexpr std::size_t kInlineSize = 2 * sizeof(void*);

// Untyped room for a callable that fits, or for a pointer to one that does not.
struct Storage {
  alignas(void*) std::byte bytes[kInlineSize];
};

// How an F lives in a Storage. Constant expressions only: all of it is inlined into the functions
// whose addresses a table of operations holds.
template <class F>
struct Stored {
  static constexpr bool kInline = sizeof(F) <= kInlineSize && alignof(F) <= alignof(void*) &&
                                  std::is_nothrow_move_constructible_v<F>;
  static constexpr bool kTrivial =
      kInline && std::is_trivially_copyable_v<F> && std::is_trivially_destructible_v<F>;

  template <class G>
  static void create(Storage& in, G&& callable) {
    if constexpr (kInline) {
      ::new (static_cast<void*>(in.bytes)) F(std::forward<G>(callable));
    } else {
      ::new (static_cast<void*>(in.bytes)) F*(new F(std::forward<G>(callable)));
    }
  }

  static F& get(Storage& in) noexcept {
    if constexpr (kInline) {
      return *std::launder(reinterpret_cast<F*>(in.bytes));
    } else {
      return **std::launder(reinterpret_cast<F**>(in.bytes));
    }
  }

  static void destroy(Storage& in) noexcept {
    if constexpr (kInline) {
      std::destroy_at(&get(in));
    } else {
      delete &get(in);
    }
  }

  // Moves the callable to raw storage and ends its life here.
  static void relocate(Storage& from, Storage& to) noexcept {
    if constexpr (kInline) {
      ::new (static_cast<void*>(to.bytes)) F(std::move(get(from)));
      destroy(from);
    } else {
      to = from;
    }
  }
};

}  // namespace event_cpp::detail

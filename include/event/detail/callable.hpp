// Type-erased callables: up to two pointers are stored inline, a larger one is allocated once.
#pragma once

#include <concepts>
#include <cstddef>
#include <memory>
#include <new>
#include <type_traits>
#include <utility>

#include "event/fwd.hpp"

namespace event_cpp::detail {

inline constexpr std::size_t kInlineSize = 2 * sizeof(void*);

// What Base::post() takes: it can be called without arguments.
template <class F>
concept Postable = std::invocable<std::decay_t<F>&>;

// Any type but Self, so that a templated constructor does not replace the copy or move constructor.
template <class F, class Self>
concept OtherThan = !std::same_as<std::remove_cvref_t<F>, Self>;

// Untyped storage for a callable that fits, or for a pointer to one that does not.
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

  // For a table of operations: null where there is nothing to do.
  static constexpr void (*kDestroy)(Storage&) noexcept = kTrivial ? nullptr : &destroy;
  static constexpr void (*kRelocate)(Storage&, Storage&) noexcept = kTrivial || !kInline
                                                                        ? nullptr
                                                                        : &relocate;
};

// A move-only function object that takes Args. A moved-from one can only be destroyed or assigned.
template <class... Args>
class Callable {
 public:
  // Does nothing when it is called.
  Callable() noexcept : ops_(&kNoOps) {}

  template <OtherThan<Callable> F>
  explicit Callable(F&& callable) : ops_(&kOps<std::decay_t<F>>) {
    Stored<std::decay_t<F>>::create(storage_, std::forward<F>(callable));
  }
  Callable(Callable&& other) noexcept : ops_(std::exchange(other.ops_, nullptr)) { take(other); }
  Callable& operator=(Callable&& other) noexcept {
    if (this != &other) {
      reset();
      ops_ = std::exchange(other.ops_, nullptr);
      take(other);
    }
    return *this;
  }
  Callable(const Callable&) = delete;
  Callable& operator=(const Callable&) = delete;
  ~Callable() { reset(); }

  void operator()(Args... args) { ops_->call(storage_, static_cast<Args&&>(args)...); }

  // Whether moving it calls no code of the user.
  bool moves_as_bytes() const noexcept { return ops_ == nullptr || ops_->relocate == nullptr; }

  // Moves `other` here. Until the move has ended, calling this does nothing. Requires: this is the
  // default one that does nothing; !other.moves_as_bytes().
  void take_over(Callable& other) noexcept {
    const Ops* const ops = std::exchange(other.ops_, nullptr);
    ops->relocate(other.storage_, storage_);
    ops_ = ops;
  }

 private:
  struct Ops {
    void (*call)(Storage&, Args...);
    void (*relocate)(Storage&, Storage&) noexcept;  // null: copy the bytes
    void (*destroy)(Storage&) noexcept;             // null: nothing to destroy
  };

  template <class F>
  static void call(Storage& storage, Args... args) {
    static_cast<void>(Stored<F>::get(storage)(static_cast<Args&&>(args)...));
  }
  static void call_nothing(Storage& /*storage*/, Args... /*args*/) {}

  template <class F>
  static constexpr Ops kOps{&call<F>, Stored<F>::kRelocate, Stored<F>::kDestroy};
  static constexpr Ops kNoOps{&call_nothing, nullptr, nullptr};

  void take(Callable& other) noexcept {
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

// A function to run once, as Base::post() takes it.
using Task = Callable<>;

// What Base::on_slow() takes.
using SlowReport = Callable<const CallbackTime&>;

}  // namespace event_cpp::detail

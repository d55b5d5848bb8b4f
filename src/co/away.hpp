// Tasks that are on another base than their owner: see resume_on().
#pragma once

#include <memory>
#include <mutex>

#include "event/co/detail/chain.hpp"

namespace event_cpp::co::detail {

// Takes the owner's place while a chain is away, and knows where it is. Made when the chain leaves
// the base of its owner, and gone when it is back. Only here is a chain known to two threads:
//   - its owner's thread reads Chain::away and Chain::owner, and may cancel
//   - all else belongs to the thread of the base on which it is
class Away final : public Owner, public std::enable_shared_from_this<Away> {
 public:
  Away(Owner& owner, Scheduler& home) noexcept : owner_(owner), home_(home) {}

  // Sends a chain whose turn is Turn::depart to the base that it wants to go to. Without memory it
  // stays where it is.
  static void depart(Chain& chain) noexcept;

  // Whether the chain is away from this base, to which its owner belongs.
  static bool is_home_of(const Chain& chain, const Base& base) noexcept {
    return chain.away && &static_cast<const Away&>(*chain.owner).home_.base() == &base;
  }

  // In the owner's thread.
  void cancel(Chain& chain) noexcept;

 private:
  static std::shared_ptr<Away> of(Chain& chain) noexcept {  // NOLINT(bugprone-exception-escape)
    return static_cast<Away&>(*chain.owner).shared_from_this();
  }

  void* ended(Chain& chain) noexcept override;

  class Arrival;

  void send(Chain& chain, Base& to);
  void post_arrival(Chain& chain, Base& to);
  void arrive(Chain& chain, Base& at) noexcept;
  void come_home(Chain& chain, bool ended) noexcept;
  void cancel_at(const Scheduler& scheduler, Chain& chain) noexcept;
  // The chain is at `scheduler` from now on; null: on its way.
  void set_where(Scheduler* scheduler, Chain& chain) noexcept;

  Owner& owner_;
  Scheduler& home_;
  std::shared_ptr<Away> self_;  // until the chain is back
  std::mutex mutex_;
  Scheduler* where_ = nullptr;  // guarded by mutex_; null: on its way
  bool cancelled_ = false;      // guarded by mutex_
};

}  // namespace event_cpp::co::detail

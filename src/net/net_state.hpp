// What the network floor keeps for a base.
#pragma once

#include <memory>

#include "event/base.hpp"
#include "event/co/detail/chain.hpp"
#include "event/event_class.hpp"
#include "event/hook.hpp"
#include "event/net/connect.hpp"
#include "event/net/kernel.hpp"

namespace event_cpp::net {

class Buffered;

namespace detail {

// The Buffered with output that is to be sent before the base waits.
class FlushList {
 public:
  explicit FlushList(Base& base)
      : hook_(base, Hook::When::before_wait, [this] { flush(); }),
        unsent_(base, -1, Events::none, [this] { flush(); }) {}
  ~FlushList() {
    while (head_.linked()) head_.next()->unlink();
  }
  void add(Buffered& buffered) noexcept;
  void flush() noexcept;

 private:
  co::detail::Link head_;
  Hook hook_;
  Event unsent_;  // active while the list is not empty: the base does not sleep, nor is it done
};

// A child process.
class ProcessOfBase : public co::detail::Link {
 public:
  virtual void base_is_gone() noexcept = 0;

 protected:
  ~ProcessOfBase() = default;
};

struct NetState {
  NetState() = default;
  ~NetState() {
    while (processes.linked()) {
      auto& process = static_cast<ProcessOfBase&>(*processes.next());
      process.unlink();
      process.base_is_gone();
    }
  }
  NetState(const NetState&) = delete;
  NetState& operator=(const NetState&) = delete;

  Kernel* kernel = nullptr;  // null: the system's
  std::unique_ptr<FlushList> flush_list;
  Resolve resolve;  // empty: the thread pool
  co::detail::Link processes;
};

// Made when it is first asked for. Errors: throws std::bad_alloc.
NetState& state_of(Base& base);

}  // namespace detail
}  // namespace event_cpp::net

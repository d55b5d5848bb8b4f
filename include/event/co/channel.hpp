// Channel: a queue between tasks.
#pragma once

#include <coroutine>
#include <cstddef>
#include <deque>
#include <new>
#include <optional>
#include <type_traits>
#include <utility>

#include "event/co/detail/wait_list.hpp"

namespace event_cpp::co {

// A FIFO queue from tasks that send to tasks that receive. It holds up to `capacity` values that
// were not received yet. With a capacity of zero, send() waits for a receiver.
//
//   co::Channel<int> numbers(16);
//   co_await numbers.send(1);
//   while (std::optional<int> n = co_await numbers.receive()) std::cout << *n;
//
// No value is lost: if a task that was given a value is destroyed before it resumes, the next task
// receives the value.
//
// Thread-safety: for the tasks of one base. Lifetime: destroying a channel closes it first.
template <class T>
class Channel {
  static_assert(std::is_nothrow_move_constructible_v<T>, "a value must not be lost half-way");

 public:
  class Send;
  class Receive;

  // Errors: throws std::bad_alloc.
  explicit Channel(std::size_t capacity) : capacity_(capacity) {}
  ~Channel() {
    close();
    while (Receive* const receive = served_.take_first()) receive->channel_ = nullptr;
  }
  Channel(const Channel&) = delete;
  Channel& operator=(const Channel&) = delete;

  // co_await: sends a value; waits while the channel is full.
  // Errors: throws std::errc::broken_pipe if the channel is closed, also while this waits;
  // std::errc::operation_canceled; std::bad_alloc. After an error the value is not received.
  [[nodiscard]] Send send(T value, unsigned line = __builtin_LINE()) {
    return Send(*this, std::move(value), line);
  }

  // co_await: returns the next value; waits while there is none. Returns std::nullopt if the
  // channel is closed and empty. Errors: throws std::errc::operation_canceled.
  [[nodiscard]] Receive receive(unsigned line = __builtin_LINE()) noexcept {
    return Receive(*this, line);
  }

  // The same without waiting, for callbacks too. If the channel is full or closed, try_send()
  // returns false and does not move from the value. If there is no value, try_receive() returns
  // std::nullopt. Errors: try_send() throws std::bad_alloc.
  bool try_send(T&& value) {
    if (closed_) return false;
    if (Receive* const receive = receivers_.take_first()) {
      receive->deliver(std::move(value));
      return true;
    }
    if (!senders_.empty() || values_.size() >= capacity_) return false;
    values_.push_back(std::move(value));
    return true;
  }
  bool try_send(const T& value) { return try_send(T(value)); }
  std::optional<T> try_receive() noexcept {
    std::optional<T> value;
    take(value);
    return value;
  }

  // Closes the channel for sending. Values that it holds can still be received. Tasks that wait in
  // send() throw std::errc::broken_pipe; tasks that wait in receive() get std::nullopt. May be
  // called repeatedly.
  void close() noexcept {
    closed_ = true;
    while (Send* const send = senders_.take_first()) send->fail();
    while (Receive* const receive = receivers_.take_first()) receive->wake_empty();
  }

  bool closed() const noexcept { return closed_; }
  std::size_t size() const noexcept { return values_.size(); }
  std::size_t capacity() const noexcept { return capacity_; }

 private:
  // Returns false if there is no value.
  bool take(std::optional<T>& value) noexcept {
    if (!values_.empty()) {
      value.emplace(std::move(values_.front()));
      values_.pop_front();
      admit_sender();
    } else if (Send* const send = senders_.take_first()) {
      value.emplace(std::move(send->value_));
      send->succeed();
    } else {
      return false;
    }
    return true;
  }

  // The task that it was handed to is gone. Without memory the value is, too.
  void put_back(T&& value) noexcept {
    if (Receive* const receive = receivers_.take_first()) {
      receive->deliver(std::move(value));
      return;
    }
    try {
      values_.push_front(std::move(value));
    } catch (const std::bad_alloc&) {
    }
  }

  // There is room for one more. Without memory the sender goes on waiting, and receive() takes its
  // value from it.
  void admit_sender() noexcept {
    if (values_.size() >= capacity_) return;
    Send* const send = senders_.first();
    if (send == nullptr) return;
    try {
      values_.push_back(std::move(send->value_));
    } catch (const std::bad_alloc&) {
      return;
    }
    senders_.take_first();
    send->succeed();
  }

  const std::size_t capacity_;
  bool closed_ = false;
  std::deque<T> values_;
  detail::WaitList<Send> senders_;
  detail::WaitList<Receive> receivers_;
  detail::ServedList<Receive> served_;  // that have a value and have not gone on
};

template <class T>
class Channel<T>::Send final : public detail::Wait {
 public:
  Send(Send&& other) noexcept
      : Wait(std::move(other)), channel_(other.channel_), value_(std::move(other.value_)) {}
  ~Send() = default;

  template <detail::TaskPromise P>
  bool await_suspend(std::coroutine_handle<P> task) {
    detail::Chain& chain = task.promise().chain();
    const bool may_go_on = chain.spend();
    if (!may_go_on && chain.cancelled) {
      begin_cancelled(chain, task.address());
      return true;
    }
    if (sent()) {
      if (may_go_on) return false;
      begin_done(chain, task.address());
      return true;
    }
    if (chain.cancelled) {
      begin_cancelled(chain, task.address());
      return true;
    }
    begin(chain, task.address());
    channel_.senders_.add(chain);
    return true;
  }
  void await_resume() const {
    throw_if_cancelled();
    if (failed_) detail::throw_broken_pipe();
  }
  Waiting waiting() const noexcept override { return describe("send"); }

 private:
  friend class Channel;
  Send(Channel& channel, T&& value, unsigned line)
      : Wait(line), channel_(channel), value_(std::move(value)) {}

  // Returns false if it has to wait.
  bool sent() {
    failed_ = channel_.closed_;
    return failed_ || channel_.try_send(std::move(value_));
  }
  void succeed() noexcept { wake(); }
  void fail() noexcept {
    failed_ = true;
    wake();
  }
  void withdraw() noexcept override {}

  Channel& channel_;
  T value_;
  bool failed_ = false;
};

template <class T>
class Channel<T>::Receive final : public detail::Wait {
 public:
  Receive(Receive&& other) noexcept : Wait(std::move(other)), channel_(other.channel_) {}
  ~Receive() {
    if (!value_.has_value() || channel_ == nullptr) return;
    // Those that were served after this one have later values: each moves on by one.
    Receive* last = this;
    while (Receive* const next = last->next_served_) {
      T later(std::move(*next->value_));
      next->value_.emplace(std::move(*value_));
      value_.emplace(std::move(later));
      last = next;
    }
    channel_->served_.remove(*this);
    channel_->put_back(std::move(*value_));
  }

  template <detail::TaskPromise P>
  bool await_suspend(std::coroutine_handle<P> task) {
    detail::Chain& chain = task.promise().chain();
    const bool may_go_on = chain.spend();
    if (!may_go_on && chain.cancelled) {
      begin_cancelled(chain, task.address());
      return true;
    }
    if (received()) {
      if (may_go_on) return false;
      if (value_.has_value()) channel_->served_.add(*this);
      begin_done(chain, task.address());
      return true;
    }
    if (chain.cancelled) {
      begin_cancelled(chain, task.address());
      return true;
    }
    begin(chain, task.address());
    channel_->receivers_.add(chain);
    return true;
  }
  std::optional<T> await_resume() {
    throw_if_cancelled();
    if (value_.has_value() && channel_ != nullptr) channel_->served_.remove(*this);
    return std::exchange(value_, std::nullopt);
  }
  Waiting waiting() const noexcept override { return describe("receive"); }

 private:
  friend class Channel;
  Receive(Channel& channel, unsigned line) noexcept : Wait(line), channel_(&channel) {}

  // Returns false if it has to wait.
  bool received() noexcept { return channel_->take(value_) || channel_->closed_; }
  void deliver(T&& value) noexcept {
    value_.emplace(std::move(value));
    channel_->served_.add(*this);
    wake();
  }
  void wake_empty() noexcept { wake(); }
  void withdraw() noexcept override {}

  friend class detail::ServedList<Receive>;

  Channel* channel_;  // null: gone
  Receive* next_served_ = nullptr;
  std::optional<T> value_;
};

static_assert(sizeof(void*) != 8 || sizeof(Channel<int>::Send) <= 48);
static_assert(sizeof(void*) != 8 || sizeof(Channel<int>::Receive) <= 48);

}  // namespace event_cpp::co

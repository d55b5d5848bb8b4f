// asio's coroutines, as its examples write them: awaitable<T>, resumed by completions.
#pragma once

#include <asio.hpp>
#include <asio/experimental/awaitable_operators.hpp>
#include <asio/experimental/channel.hpp>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <utility>

namespace bench {

struct AsioCoroutines {
  template <class T = void>
  using Task = asio::awaitable<T>;

  static void run(auto& loop, Task<> task) {
    asio::co_spawn(loop.context(), std::move(task), [&loop](const std::exception_ptr& error) {
      if (error) std::rethrow_exception(error);
      loop.stop();
    });
    loop.run();
  }

  static auto yield(auto& loop) { return asio::post(loop.context(), asio::use_awaitable); }

  class Group {
   public:
    explicit Group(auto& loop) : context_(loop.context()) {}
    void spawn(Task<> task) {
      ++size_;
      asio::co_spawn(context_, std::move(task), [this](const std::exception_ptr&) { --size_; });
    }
    void spawn_to_cancel(Task<> task) {
      ++size_;
      asio::co_spawn(context_, std::move(task),
                     asio::bind_cancellation_slot(signal_.slot(),
                                                  [this](const std::exception_ptr&) { --size_; }));
    }
    void cancel() { signal_.emit(asio::cancellation_type::terminal); }
    Task<> join() {
      while (size_ > 0) co_await asio::post(context_, asio::use_awaitable);
    }

   private:
    asio::io_context& context_;
    asio::cancellation_signal signal_;
    std::size_t size_ = 0;
  };

  class Sleeper {
   public:
    explicit Sleeper(auto& loop) : timer_(loop.context()) {}
    auto sleep(std::int64_t delay) {
      timer_.expires_after(std::chrono::nanoseconds(delay));
      return timer_.async_wait(asio::use_awaitable);
    }

   private:
    asio::steady_timer timer_;
  };

  class Readable {
   public:
    Readable(auto& loop, int fd) : descriptor_(loop.context(), fd) {}
    auto wait() { return descriptor_.async_wait(descriptor_.wait_read, asio::use_awaitable); }

   private:
    asio::posix::stream_descriptor descriptor_;
  };

  class Channel {
   public:
    Channel(auto& loop, std::size_t capacity) : channel_(loop.context(), capacity) {}
    auto send(int value) { return channel_.async_send({}, value, asio::use_awaitable); }
    auto receive() { return channel_.async_receive(asio::use_awaitable); }

   private:
    asio::experimental::channel<void(asio::error_code, int)> channel_;
  };

  static Task<> with_timeout(auto& loop, std::int64_t limit, Task<> task) {
    using namespace asio::experimental::awaitable_operators;
    asio::steady_timer timer(loop.context(), std::chrono::nanoseconds(limit));
    co_await (std::move(task) || timer.async_wait(asio::use_awaitable));
  }
};

}  // namespace bench

// asio, without Boost. It has no persistent watch: each completion asks for the next one.
#pragma once

#include <sys/socket.h>

#include <array>
#include <asio.hpp>
#include <chrono>
#include <cstdint>
#include <memory>

#include "contenders/asio_coroutines.hpp"
#include "support/contender.hpp"
#include "support/task_queue.hpp"

namespace bench {

struct Contender {
  using Coroutines = AsioCoroutines;

  class Loop {
   public:
    explicit Loop(bool /*precise*/ = false) {}
    void run() {
      context_.restart();
      context_.run();
    }
    void poll() {
      context_.restart();
      context_.poll();
    }
    void stop() { context_.stop(); }
    void settle() { poll(); }
    void refresh() {}
    void post(Task task) { asio::post(context_, task); }
    asio::io_context& context() { return context_; }

   private:
    asio::io_context context_{1};
    asio::executor_work_guard<asio::io_context::executor_type> work_{context_.get_executor()};
  };

  template <class H, bool kPersistent, bool kIdle = false>
  class Watch {
   public:
    static constexpr std::size_t kBytes =
        sizeof(asio::posix::stream_descriptor) + (kIdle ? sizeof(asio::steady_timer) : 0);

    Watch(Loop& loop, int fd, H handler)
        : descriptor_(loop.context()), idle_(loop.context()), fd_(fd), handler_(handler) {}
    void start() {
      if (!descriptor_.is_open()) descriptor_.assign(fd_);
      wait();
    }
    void stop() {
      if (descriptor_.is_open()) descriptor_.release();
    }

   private:
    void wait() {
      if (kIdle) restart_timeout();
      descriptor_.async_wait(descriptor_.wait_read, [this](const asio::error_code& error) {
        if (error) return;
        handler_(*this);
        if (kPersistent) wait();
      });
    }
    void restart_timeout() {
      idle_.expires_after(std::chrono::seconds(kIdleSeconds));
      idle_.async_wait([](const asio::error_code& error) {
        if (!error) idle_timeout_came();
      });
    }

    asio::posix::stream_descriptor descriptor_;
    asio::steady_timer idle_;
    int fd_;
    [[no_unique_address]] H handler_;
  };

  template <class H>
  using Read = Watch<H, true>;
  template <class H>
  using OneShot = Watch<H, false>;
  template <class H>
  using IdleRead = Watch<H, true, true>;

  template <class H>
  class Timer {
   public:
    static constexpr std::size_t kBytes = sizeof(asio::steady_timer);

    Timer(Loop& loop, H handler) : timer_(loop.context()), handler_(handler) {}
    void start(std::int64_t delay) {
      timer_.expires_after(std::chrono::nanoseconds(delay));
      timer_.async_wait([this](const asio::error_code& error) {
        if (!error) handler_(*this);
      });
    }
    void later(std::int64_t delay) { start(delay); }
    void cancel() { timer_.cancel(); }

   private:
    asio::steady_timer timer_;
    [[no_unique_address]] H handler_;
  };

  template <class H>
  class Signal {
   public:
    Signal(Loop& loop, int number, H handler)
        : signals_(loop.context(), number), handler_(handler) {}
    void start() {
      signals_.async_wait([this](const asio::error_code& error, int) {
        if (error) return;
        handler_(*this);
        start();
      });
    }

   private:
    asio::signal_set signals_;
    [[no_unique_address]] H handler_;
  };

  // With sockets of asio's own, which try to read and to write before they wait.
  class EchoServer {
   public:
    explicit EchoServer(int listener) : acceptor_(loop_.context(), asio::ip::tcp::v4(), listener) {
      accept();
    }
    void run() { loop_.run(); }

   private:
    struct Connection : std::enable_shared_from_this<Connection> {
      explicit Connection(asio::ip::tcp::socket peer) : socket(std::move(peer)) {}

      void read() {
        socket.async_read_some(asio::buffer(message),
                               [self = shared_from_this()](auto error, std::size_t size) {
                                 if (!error) self->write(size);
                               });
      }
      void write(std::size_t size) {
        asio::async_write(socket, asio::buffer(message, size),
                          [self = shared_from_this()](auto error, std::size_t) {
                            if (!error) self->read();
                          });
      }

      asio::ip::tcp::socket socket;
      std::array<char, 4096> message;
    };

    void accept() {
      acceptor_.async_accept([this](auto error, asio::ip::tcp::socket peer) {
        if (error) return;
        peer.set_option(asio::ip::tcp::no_delay(true));
        std::make_shared<Connection>(std::move(peer))->read();
        accept();
      });
    }

    Loop loop_;
    asio::ip::tcp::acceptor acceptor_;
  };
};

}  // namespace bench

// Connection: sends commands to Redis, and returns their replies.
#pragma once

#include <strings.h>

#include <algorithm>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <system_error>
#include <type_traits>
#include <utility>

#include "event/adapters/hiredis/session.hpp"
#include "event/co/sync.hpp"
#include "event/co/timeout.hpp"

namespace event_cpp::redis {

class Connection;

namespace detail {

// A command in the wire format of Redis, made by hiredis.
class Text {
 public:
  // Errors: throws std::system_error, std::errc::invalid_argument, if hiredis failed to make it,
  // for which it gives no reason; and for a command without a word, at which hiredis would abort.
  Text(char* text, long long size) : text_(text), size_(check(size)) {
    if (std::string_view(text_.get(), size_).starts_with("*0")) {
      throw std::system_error(std::make_error_code(std::errc::invalid_argument),
                              "redis: the command is empty");
    }
  }

  const char* data() const noexcept { return text_.get(); }
  std::size_t size() const noexcept { return size_; }
  void free() noexcept { text_.reset(); }

  // Whether the command changes subscriptions, or its reply does not end. First tests one letter,
  // which is enough for most commands.
  bool subscribes() const noexcept {
    std::string_view rest(text_.get(), size_);  // *2\r\n$3\r\nGET\r\n ...
    for (int line = 0; line < 2; ++line) rest.remove_prefix(rest.find('\n') + 1);
    if (rest.size() < 2) return false;
    switch (rest[1] | 0x20) {
      case 'u':
        return is(rest, "subscribe") || is(rest, "punsubscribe") || is(rest, "sunsubscribe");
      case 'n':
        return is(rest, "unsubscribe");
      case 's':
        return is(rest, "psubscribe") || is(rest, "ssubscribe");
      case 'o':
        return is(rest, "monitor");
      default:
        return false;
    }
  }

 private:
  struct Free {
    void operator()(char* text) const noexcept { ::redisFreeCommand(text); }
  };
  static bool is(std::string_view rest, std::string_view name) noexcept {
    return rest.size() > name.size() && rest[name.size()] == '\r' &&
           ::strncasecmp(rest.data(), name.data(), name.size()) == 0;
  }
  static std::size_t check(long long size) {
    if (size < 0) {
      throw std::system_error(std::make_error_code(std::errc::invalid_argument),
                              "redis: the format string is not valid");
    }
    return static_cast<std::size_t>(size);
  }

  std::unique_ptr<char, Free> text_;
  std::size_t size_;
};

template <class... Args>
Text format(const char* text, Args... args) {
  static_assert(((std::is_arithmetic_v<Args> || std::is_pointer_v<Args>)&&...),
                "as for printf(): c_str() for %s; data() and size() for %b; or use call()");
  char* made = nullptr;
  const int size = ::redisFormatCommand(&made, text, args...);
  return {made, size};
}
template <class... Args>
Text join(const Args&... args) {
  static_assert(sizeof...(args) > 0, "a command has at least one word");
  const std::string_view views[] = {std::string_view(args)...};
  const char* data[sizeof...(args)];
  std::size_t sizes[sizeof...(args)];
  for (std::size_t i = 0; i < sizeof...(args); ++i) {
    data[i] = views[i].data();
    sizes[i] = views[i].size();
  }
  char* made = nullptr;
  const auto size = ::redisFormatCommandArgv(&made, static_cast<int>(sizeof...(args)), data, sizes);
  return {made, size};
}

class Command final : public adapters::detail::Request<Command, Reply> {
 public:
  static constexpr const char* kWhat = "redis command";
  Command(Connection& connection, Text text) : connection_(connection), text_(std::move(text)) {}

  static inline void begin(std::unique_ptr<Command> command);
  inline void abandoned() noexcept;

 private:
  friend class redis::Connection;
  Connection& connection_;
  Text text_;              // until it is sent
  std::uint64_t end_ = 0;  // its end in the bytes of the connection; 0: not sent yet
};

}  // namespace detail

// A connection to a Redis server, with hiredis. Many tasks may share it: their commands are sent in
// one write at the end of an iteration, and the replies come in the same order (pipelining).
//
//   redis::Connection redis(base);
//   co_await redis.connect("127.0.0.1", 6379);
//   const redis::Reply name = co_await redis.command("GET %s", key.c_str());
//
//   - If the server refuses a command, nothing is thrown: its reply is_error(). Exceptions concern
//     the connection.
//   - Cancelling a task abandons its command: if it was sent, its reply is dropped, and the
//     connection stays. For a limit use co::with_timeout().
//   - If the connection is lost, each command fails with Errc::not_sent or Errc::unknown_outcome.
//     Commands are not sent again, and there is no automatic reconnect: call connect() again. No
//     call raises SIGPIPE.
//   - A command that blocks, such as BLPOP, delays all later ones; and WATCH, MULTI and EXEC of
//     several tasks get mixed up. Use separate connections for these. For SUBSCRIBE see Subscriber.
//
// Thread-safety: belongs to the thread that runs its base. Lifetime: it may be destroyed while
// commands are under way, also by a task that it has resumed. Their tasks then resume with an error
// as above, and callbacks are not called. It must outlive connect(host, port) and close(). While a
// command is under way dispatch() does not return for lack of events. After fork(2) only the parent
// may use the connection. The child may destroy it, together with the tasks that use it.
class Connection : public detail::Session {
 public:
  struct Options {
    // Commands sent and not answered; further ones wait. 0 counts as 1.
    std::size_t most_in_flight = 1000;
  };

  explicit Connection(Base& base) noexcept : Connection(base, Options()) {}
  Connection(Base& base, Options options) noexcept : Session(base), options_(options) {
    options_.most_in_flight = std::max<std::size_t>(options_.most_in_flight, 1);
  }
  virtual ~Connection() { shut(); }

  // connect(address) and connect(host, port) are awaited; connect(address, f) calls
  // f(adapters::Outcome<std::monostate>). A host is looked up with net::resolve(), and its
  // addresses are tried in order. There is no limit: use co::with_timeout(). Errors: throws
  // std::system_error: std::errc::already_connected, ECONNREFUSED ..., those of net::resolve().
  using Session::connect;

  // co_await: sends a command and returns its Reply. `format` is as for redisCommand() of hiredis:
  // %s takes a const char*, %b a pointer and a size_t. The arguments are copied at once; the
  // command is sent when it is awaited. Errors: throws std::system_error: Errc::not_sent,
  // Errc::unknown_outcome, std::errc::operation_canceled; std::errc::invalid_argument for an
  // invalid format, an empty command, and for SUBSCRIBE and similar commands; std::bad_alloc. Cost:
  // an allocation from a pool, and what hiredis allocates.
  template <class... Args>
  [[nodiscard]] auto command(const char* format, Args... args) {
    return adapters::detail::Ask<detail::Command>(make(detail::format(format, args...)), 0U);
  }
  // The same from separate words: call("SET", key, value). Each word converts to std::string_view,
  // and may contain any bytes.
  template <class... Args>
  [[nodiscard]] auto call(const Args&... words) {
    return adapters::detail::Ask<detail::Command>(make(detail::join(words...)), 0U);
  }

  // The same for callbacks: calls f(adapters::Outcome<Reply>). An exception of f leaves dispatch().
  // Errors: throws errors that are known at once: Errc::not_sent, std::errc::invalid_argument,
  // std::bad_alloc.
  template <class F, class... Args>
  requires std::invocable<F&, adapters::Outcome<Reply>>
  void command(F f, const char* format, Args... args) {
    detail::Command::begin_with(make(detail::format(format, args...)),
                                detail::Command::Function(std::move(f)));
  }
  template <class F, class... Args>
  requires std::invocable<F&, adapters::Outcome<Reply>>
  void call(F f, const Args&... words) {
    detail::Command::begin_with(make(detail::join(words...)),
                                detail::Command::Function(std::move(f)));
  }

  // co_await: waits until all commands are answered, at most for `limit`, and closes the
  // connection. New commands fail from the start (Errc::not_sent). If the task is cancelled or
  // destroyed while it waits, the connection stays open.
  co::Task<> close(AnyDuration limit) {
    const Closing closing(*this);
    static_cast<void>(co_await co::try_with_timeout(limit, drained()));
    close_now();
  }
  // Closes at once; commands that are under way fail.
  void close_now() noexcept {
    const Closing closing(*this);
    Session::close();
  }

  using Session::base;
  using Session::connected;
  using Session::context;

  // The number of commands that were sent and not answered, including abandoned ones; and of
  // commands that wait to be sent.
  std::size_t in_flight() const noexcept { return in_flight_; }
  std::size_t waiting() const noexcept { return waiting_; }

 private:
  friend detail::Command;

  // Also the task that closes may be cancelled, or destroyed.
  class Closing {
   public:
    explicit Closing(Connection& connection) noexcept : connection_(connection) {
      ++connection_.closing_;
    }
    ~Closing() { --connection_.closing_; }
    Closing(const Closing&) = delete;
    Closing& operator=(const Closing&) = delete;

   private:
    Connection& connection_;
  };

  std::unique_ptr<detail::Command> make(detail::Text text) {
    if (text.subscribes()) {
      throw std::system_error(std::make_error_code(std::errc::invalid_argument),
                              "redis: use a Subscriber");
    }
    return std::make_unique<detail::Command>(*this, std::move(text));
  }

  co::Task<> drained() {
    while (connected() && in_flight_ + waiting_ > 0) co_await changed_.wait();
  }

  void submit(std::unique_ptr<detail::Command> command) {
    if (!connected() || closing_ > 0) {
      throw std::system_error(make_error_code(Errc::not_sent), "redis: not connected");
    }
    if (in_flight_ < options_.most_in_flight && waiting_ == 0) {
      if (!send(*command)) {
        throw std::system_error(make_error_code(Errc::not_sent), "redis: not connected");
      }
    } else {
      queue_.push_back(*command);
      ++waiting_;
    }
    static_cast<void>(command.release());
  }

  bool send(detail::Command& command) noexcept {
    detail::Text& text = command.text_;
    if (::redisAsyncFormattedCommand(context_, &Connection::answered, &command, text.data(),
                                     text.size()) != REDIS_OK) {
      return false;
    }
    sent_ += text.size();
    command.end_ = sent_;
    text.free();
    if (in_flight_++ == 0) keep_alive(true);
    return true;
  }

  // Called when the task of the command was destroyed or cancelled.
  void abandoned(detail::Command& command) noexcept {
    if (command.end_ != 0) return;  // the reply will come
    command.unlink();
    --waiting_;
    delete &command;
    if (closing_ > 0) changed_.notify_all();
  }

  // Called by hiredis; without a reply if the connection is lost.
  static void answered(redisAsyncContext* context, void* reply, void* privdata) noexcept {
    auto& command = *static_cast<detail::Command*>(privdata);
    Connection& self = command.connection_;
    --self.in_flight_;
    if (command.is_abandoned()) {
      delete &command;
    } else if (reply != nullptr) {
      command.answer(self.inbox_, detail::keep(reply));
    } else {
      const bool all_written = command.end_ + detail::unsent(context->c) <= self.sent_;
      const Errc code = all_written ? Errc::unknown_outcome : Errc::not_sent;
      command.fail(self.inbox_, detail::error(code, self.why(context)));
    }
  }
  static const char* why(const redisAsyncContext* context) noexcept {
    return context->err != 0 && context->errstr != nullptr ? context->errstr
                                                           : "redis: connection closed";
  }

  static detail::Command& first_of(const co::detail::Link& queue) noexcept {
    return static_cast<detail::Command&>(static_cast<adapters::detail::Answered&>(*queue.next()));
  }

  Options options_;
  co::detail::Link queue_;  // of commands that wait to be sent
  std::size_t waiting_ = 0;
  std::size_t in_flight_ = 0;
  std::uint64_t sent_ = 0;    // bytes given to hiredis on this connection
  unsigned closing_ = 0;      // calls of close() that are under way
  co::Notification changed_;  // for close()

 protected:
  // Of Session.
  void returned() noexcept override {
    while (context_ != nullptr && waiting_ > 0 && in_flight_ < options_.most_in_flight) {
      detail::Command& command = first_of(queue_);
      command.unlink();
      --waiting_;
      if (!send(command)) {
        command.fail(inbox_, detail::error(make_error_code(Errc::not_sent), "redis: closed"));
      }
    }
    if (in_flight_ == 0 && context_ != nullptr && connected()) keep_alive(false);
    if (closing_ > 0) changed_.notify_all();
  }
  void lost() noexcept override {
    while (waiting_ > 0) {
      detail::Command& command = first_of(queue_);
      command.unlink();
      --waiting_;
      command.fail(inbox_, detail::error(make_error_code(Errc::not_sent), "redis: closed"));
    }
    sent_ = 0;
    changed_.notify_all();
  }
};

inline void detail::Command::begin(std::unique_ptr<Command> command) {
  Connection& connection = command->connection_;
  connection.submit(std::move(command));
}
inline void detail::Command::abandoned() noexcept { connection_.abandoned(*this); }

}  // namespace event_cpp::redis

// Session: a redisAsyncContext on a base; the base class of Connection and Subscriber.
#pragma once

#include <hiredis/async.h>
#include <hiredis/hiredis.h>
#include <netdb.h>

#include <array>
#include <cerrno>
#include <concepts>
#include <memory>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <variant>
#include <vector>

#include "event/adapters/detail/before_wait.hpp"
#include "event/adapters/detail/request.hpp"
#include "event/adapters/detail/watch.hpp"
#include "event/adapters/hiredis/error.hpp"
#include "event/adapters/hiredis/output.hpp"
#include "event/adapters/hiredis/reply.hpp"
#include "event/co/wait.hpp"
#include "event/net/address.hpp"
#include "event/net/connect.hpp"

namespace event_cpp::redis::detail {

using adapters::Outcome;

// hiredis frees a reply right after its callback. keep() marks a reply in its type; our function
// for freeing replies then only removes the mark. The Reply that keep() returns must outlive the
// callback.
inline constexpr int kKept = 1 << 16;
inline Reply keep(void* reply) noexcept {
  auto* const kept = static_cast<redisReply*>(reply);
  kept->type |= kKept;
  return Reply(kept);
}
inline void free_or_keep(void* reply) noexcept {
  auto* const freed = static_cast<redisReply*>(reply);
  if (freed != nullptr && (freed->type & kKept) != 0) {
    freed->type &= ~kKept;
  } else {
    ::freeReplyObject(reply);
  }
}

class Session;

class ConnectRequest final : public adapters::detail::Request<ConnectRequest, std::monostate> {
 public:
  static constexpr const char* kWhat = "redis connect";
  ConnectRequest(Session& session, const net::Address& address) noexcept
      : session_(session), address_(address) {}

  static inline void begin(std::unique_ptr<ConnectRequest> request);
  inline void abandoned() noexcept;

 private:
  friend class Session;
  Session& session_;
  net::Address address_;
};

// hiredis requests events through hooks. It may free its context in any of its calls, except during
// a call that it makes itself; it reports that with the last hook, which sets context_ to null.
class Session {
 public:
  explicit Session(Base& base) noexcept
      : inbox_(base), event_(base, *this), flush_(base, [this] { flush(); }) {}
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

  Base& base() const noexcept { return inbox_.base(); }
  bool connected() const noexcept {
    return context_ != nullptr && (context_->c.flags & REDIS_CONNECTED) != 0;
  }
  // The structure of hiredis; null if not connected.
  redisAsyncContext* context() const noexcept { return context_; }

  // See Connection.
  [[nodiscard]] auto connect(const net::Address& address, unsigned line = __builtin_LINE()) {
    return adapters::detail::Ask<ConnectRequest>(std::make_unique<ConnectRequest>(*this, address),
                                                 line);
  }
  template <std::invocable<Outcome<std::monostate>> F>
  void connect(const net::Address& address, F f) {
    ConnectRequest::begin_with(std::make_unique<ConnectRequest>(*this, address),
                               ConnectRequest::Function(std::move(f)));
  }
  co::Task<> connect(std::string host, int port) {
    const std::vector<net::Address> addresses = co_await net::resolve(std::move(host), port);
    std::exception_ptr failure;
    for (const net::Address& address : addresses) {
      try {
        co_await connect(address);
        co_return;
      } catch (const std::system_error& error) {
        failure = std::current_exception();
        if (co::is_cancellation(failure)) throw;
      }
    }
    std::rethrow_exception(failure);
  }

 protected:
  ~Session() = default;

  // Called when the connection is lost and hiredis has called all its callbacks.
  virtual void lost() noexcept = 0;
  // Called when a call of hiredis has returned.
  virtual void returned() noexcept {}

  // For the destructor of a derived class. The base may be gone: nothing is activated.
  void shut() noexcept {
    inbox_.enter();
    close();
  }

  // Called for an error reply. hiredis closes the connection for an error that is not the reply to
  // a command, and for hiredis SUBSCRIBE is none. Returns a reply to pass to hiredis instead; null:
  // pass the error.
  virtual redisReply* refused(std::string_view /*why*/) noexcept { return nullptr; }
  // Makes a reply of three parts, like those to SUBSCRIBE. Null without memory.
  redisReply* make_reply(std::string_view kind, std::string_view name, long long count) noexcept {
    redisReadTask whole{};
    whole.type = REDIS_REPLY_ARRAY;
    whole.obj = makes_->createArray(&whole, 3);
    if (whole.obj == nullptr) return nullptr;
    redisReadTask part{};
    part.parent = &whole;
    part.type = REDIS_REPLY_STRING;
    bool made = true;
    for (const std::string_view text : {kind, name}) {
      // It copies the text.
      char* const begin = const_cast<char*>(text.data());
      made = made && makes_->createString(&part, begin, text.size()) != nullptr;
      ++part.idx;
    }
    part.type = REDIS_REPLY_INTEGER;
    made = made && makes_->createInteger(&part, count) != nullptr;
    auto* const reply = static_cast<redisReply*>(whole.obj);
    if (made) return reply;
    ::freeReplyObject(reply);
    return nullptr;
  }

  // Closes the connection, if there is one.
  void close() noexcept {
    flush_.cancel();
    if (context_ != nullptr) ::redisAsyncFree(context_);
  }

  // Sets whether dispatch() keeps running.
  void keep_alive(bool on) noexcept { event_.keep_alive(on); }

  void pause_reading(bool on) noexcept {
    if (paused_ == on) return;
    paused_ = on;
    if (context_ != nullptr) update();
  }

  adapters::detail::Inbox inbox_;  // first: hiredis answers while its context is freed
  redisAsyncContext* context_ = nullptr;

 private:
  friend ConnectRequest;
  friend adapters::detail::Watch<Session>;

  static Session& of(void* session) noexcept { return *static_cast<Session*>(session); }

  void open(std::unique_ptr<ConnectRequest> request) {
    if (context_ != nullptr) {
      throw std::system_error(std::make_error_code(std::errc::already_connected), "redis");
    }
    redisAsyncContext* const made = make_context(request->address_);
    if (made == nullptr) throw std::bad_alloc();
    if (made->err != 0) {
      const int code = errno != 0 ? errno : ECONNREFUSED;
      const std::string why = made->errstr;
      ::redisAsyncFree(made);
      throw std::system_error(code, std::system_category(), "redis: " + why);
    }
    if (event_.attached()) event_.detach();
    set_no_sigpipe(made->c.fd);
    event_.assign(made->c.fd, Events::none);
    context_ = made;
    reads_ = writes_ = paused_ = false;
    static redisReplyObjectFunctions functions = [](redisReplyObjectFunctions given) {
      given.freeObject = &free_or_keep;
      given.createString = &make_text;
      return given;
    }(*made->c.reader->fn);
    makes_ = made->c.reader->fn;
    made->c.reader->fn = &functions;
    made->c.reader->privdata = this;
    made->data = this;
    // hiredis calls these from the next line on.
    made->ev.data = this;
    made->ev.addRead = [](void* self) noexcept { of(self).want_read(true); };
    made->ev.delRead = [](void* self) noexcept { of(self).want_read(false); };
    made->ev.addWrite = [](void* self) noexcept { of(self).want_write(); };
    made->ev.delWrite = [](void* self) noexcept { of(self).want_no_write(); };
    made->ev.cleanup = [](void* self) noexcept { of(self).cleaned_up(); };
    connecting_ = request.release();
    keep_alive(true);
    ::redisAsyncSetConnectCallback(made, [](const redisAsyncContext* context, int status) noexcept {
      of(context->data).connect_ended(status);
    });
    check_watch();
  }

  // If it has an error, errno says which, or is zero: hiredis reports some as REDIS_ERR_OTHER.
  static redisAsyncContext* make_context(const net::Address& address) {
    if (address.is_unix()) {
      const std::string path(address.path());
      errno = 0;
      return ::redisAsyncConnectUnix(path.c_str());
    }
    std::array<char, NI_MAXHOST> host{};
    if (::getnameinfo(address.data(), address.size(), host.data(), host.size(), nullptr, 0,
                      NI_NUMERICHOST) != 0) {
      throw std::system_error(std::make_error_code(std::errc::invalid_argument), "redis: address");
    }
    errno = 0;
    return ::redisAsyncConnect(host.data(), address.port());
  }

  void connect_ended(int status) noexcept {
    ConnectRequest* const request = std::exchange(connecting_, nullptr);
    if (request == nullptr) return;
    if (status == REDIS_OK) {
      keep_alive(false);
      request->answer(inbox_, std::monostate());
    } else {
      const int code = errno != 0 ? errno : ECONNREFUSED;
      request->fail(inbox_, error({code, std::system_category()}, "redis: connect"));
    }
  }
  void give_up_connecting() noexcept {
    std::unique_ptr<ConnectRequest> request(std::exchange(connecting_, nullptr));
    close();
  }

  // Of the reader.
  static void* make_text(const redisReadTask* task, char* text, std::size_t size) noexcept {
    Session& self = of(task->privdata);
    if (task->type == REDIS_REPLY_ERROR && task->parent == nullptr) {
      if (redisReply* const answer = self.refused({text, size})) return answer;
    }
    return self.makes_->createString(task, text, size);
  }

  // Of the hooks.
  void want_read(bool on) noexcept {
    reads_ = on;
    update();
  }
  // Commands of an iteration are sent at its end, with one system call. The fd is watched for
  // writing only while connecting, and when the socket's buffer is full.
  void want_write() noexcept {
    if (connected() && !writing_ && !writes_) return flush_.request();
    writes_ = true;
    update();
  }
  void want_no_write() noexcept {
    writes_ = false;
    update();
  }
  void cleaned_up() noexcept {
    context_ = nullptr;
    if (event_.detach()) keep_alive(false);  // else the base may be gone
    flush_.cancel();
    if (connecting_ != nullptr) {
      ConnectRequest* const request = std::exchange(connecting_, nullptr);
      request->fail(inbox_, error({ECONNRESET, std::system_category()}, "redis: connect"));
    }
    lost();
  }

  void update() noexcept {
    Events wanted = Events::none;
    if (reads_ && !paused_) wanted |= Events::read;
    if (writes_) wanted |= Events::write;
    if (wanted == (event_.events() & (Events::read | Events::write))) return;
    std::error_code failed;
    if (event_.attached()) {
      failed = event_.try_modify(wanted | Events::persist);
    } else if (any(wanted)) {
      failed = event_.try_attach(context_->c.fd, wanted | Events::persist);
    }
    if (failed) watch_error_ = failed;
  }
  // Closes the connection if the kernel refused to watch the fd, since no event would come any
  // more.
  void check_watch() {
    const std::error_code failed = std::exchange(watch_error_, {});
    if (!failed || context_ == nullptr) return;
    close();
  }

  void flush() noexcept {
    if (context_ != nullptr) write();
    returned();
    check_watch();
  }
  void write() noexcept {
    writing_ = true;
    handle_write(*context_);
    writing_ = false;
  }

  void ready(Events fired) {
    inbox_.enter();
    if (any(fired & Events::write) && context_ != nullptr) write();
    if (any(fired & Events::read) && context_ != nullptr) ::redisAsyncHandleRead(context_);
    returned();
    check_watch();
    inbox_.leave();  // last: this may be gone then
  }

  const redisReplyObjectFunctions* makes_ = nullptr;  // replies; hiredis' own
  adapters::detail::Watch<Session> event_;
  adapters::detail::BeforeWait flush_;
  ConnectRequest* connecting_ = nullptr;
  std::error_code watch_error_;
  bool reads_ = false;
  bool writes_ = false;
  bool writing_ = false;
  bool paused_ = false;
};

inline void ConnectRequest::begin(std::unique_ptr<ConnectRequest> request) {
  Session& session = request->session_;
  session.open(std::move(request));
}
inline void ConnectRequest::abandoned() noexcept { session_.give_up_connecting(); }

}  // namespace event_cpp::redis::detail

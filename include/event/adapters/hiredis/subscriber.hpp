// Subscriber: receives the messages of Redis channels.
#pragma once

#include <algorithm>
#include <cstddef>
#include <deque>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <variant>

#include "event/adapters/detail/waiters.hpp"
#include "event/adapters/hiredis/connection.hpp"

namespace event_cpp::redis {

class Subscriber;

// A published message.
class Message {
 public:
  Message() = default;
  // From a reply that is an array: "message", channel, text; or "pmessage", pattern, channel, text.
  explicit Message(Reply reply) noexcept : reply_(std::move(reply)) {}

  std::string_view channel() const noexcept { return reply_[reply_.size() - 2].text(); }
  std::string_view text() const noexcept { return reply_[reply_.size() - 1].text(); }
  // The pattern that matched the channel; empty for a subscription by name.
  std::string_view pattern() const noexcept {
    return reply_.size() == 4 ? reply_[1].text() : std::string_view();
  }

 private:
  Reply reply_;
};

namespace detail {

enum class Change : std::uint8_t { subscribe, psubscribe, unsubscribe, punsubscribe };

class ChangeRequest final : public adapters::detail::Request<ChangeRequest, std::monostate> {
 public:
  static constexpr const char* kWhat = "redis subscribe";
  ChangeRequest(Subscriber& subscriber, Change change, std::string_view name)
      : subscriber_(subscriber), change_(change), name_(name) {}
  static inline void begin(std::unique_ptr<ChangeRequest> request);
  void abandoned() noexcept {}  // what it asked for stays

 private:
  friend Subscriber;
  Subscriber& subscriber_;
  Change change_;
  std::string name_;
  bool is_new_ = false;  // there was no subscription of this name
  std::string refusal_;  // the server's message
};

class NextRequest final : public adapters::detail::Request<NextRequest, Message> {
 public:
  static constexpr const char* kWhat = "redis message";
  explicit NextRequest(Subscriber& subscriber) noexcept : subscriber_(subscriber) {}
  static inline void begin(std::unique_ptr<NextRequest> request);
  inline void abandoned() noexcept;
  inline void unclaimed() noexcept;
  inline void taken() noexcept;

 private:
  friend Subscriber;
  friend adapters::detail::Waiters<NextRequest>;
  friend co::detail::ServedList<NextRequest>;
  Subscriber& subscriber_;
  NextRequest* next_served_ = nullptr;
};

}  // namespace detail

// A separate connection for SUBSCRIBE and PSUBSCRIBE.
//
//   redis::Subscriber news(base);
//   co_await news.connect("127.0.0.1", 6379);
//   co_await news.subscribe("weather");
//   for (;;) {
//     const redis::Message message = co_await news.next();
//     ...
//   }
//
// Messages are queued here until next() takes them: up to Options::most_waiting, and those of one
// more read of 16 KB. Then reading pauses until the queue is half empty. If that takes long, the
// server's output buffer for this client gets full, and the server closes the connection: see
// client-output-buffer-limit in redis.conf.
//
// If the connection is lost, next() still returns the queued messages, and then fails. Connect and
// subscribe again. Messages that were published in between are lost, as always with Redis.
//
// Thread-safety, lifetime: as Connection. It must outlive a task in next(). While a task waits here
// dispatch() does not return for lack of events.
class Subscriber final : private Connection {
 public:
  using Changed = adapters::detail::Ask<detail::ChangeRequest>;

  struct Options {
    std::size_t most_waiting = 1000;  // 0 counts as 1
  };

  explicit Subscriber(Base& base) noexcept : Subscriber(base, Options()) {}
  Subscriber(Base& base, Options options) noexcept : Connection(base), options_(options) {}
  ~Subscriber() override { shut(); }

  using Connection::base;
  using Connection::close_now;
  using Connection::connect;
  using Connection::connected;

  // co_await: sends a command before the first subscription, such as AUTH, and returns its Reply.
  // Errors: as Connection::call(); std::errc::invalid_argument after the first subscription.
  template <class... Args>
  [[nodiscard]] auto call(const Args&... words) {
    if (!names_.empty() || changes_.linked() || refused_end_) {
      throw std::system_error(std::make_error_code(std::errc::invalid_argument),
                              "redis: a subscriber takes no commands");
    }
    return Connection::call(words...);
  }

  // co_await: changes a subscription, and waits until the server has confirmed it. Cancelling the
  // task does not undo the change. Errors: throws std::system_error: Errc::not_sent,
  // Errc::unknown_outcome; Errc::refused, with the server's message in what(), for example for a
  // channel that the user may not read. After Errc::refused the connection and other subscriptions
  // still work. If an unsubscription is refused, its messages are dropped.
  [[nodiscard]] Changed subscribe(std::string_view channel) {
    return change(detail::Change::subscribe, channel);
  }
  [[nodiscard]] Changed psubscribe(std::string_view pattern) {
    return change(detail::Change::psubscribe, pattern);
  }
  [[nodiscard]] Changed unsubscribe(std::string_view channel) {
    return change(detail::Change::unsubscribe, channel);
  }
  [[nodiscard]] Changed punsubscribe(std::string_view pattern) {
    return change(detail::Change::punsubscribe, pattern);
  }

  // co_await: returns the next message. Several tasks may wait: they are served in order. If a task
  // is cancelled, the message that it would have got is the next one of the others. Errors: throws
  // std::system_error: ECONNRESET if the connection is lost and no message is queued.
  co::Task<Message> next() {
    std::optional<Message> waiting = try_next();
    if (waiting.has_value()) co_return std::move(*waiting);
    co_return co_await adapters::detail::Ask<detail::NextRequest>(
        std::make_unique<detail::NextRequest>(*this), 0U);
  }
  // The same for callbacks: calls f(adapters::Outcome<Message>) once.
  template <std::invocable<adapters::Outcome<Message>> F>
  void next(F f) {
    detail::NextRequest::begin_with(std::make_unique<detail::NextRequest>(*this),
                                    detail::NextRequest::Function(std::move(f)));
  }
  // The same without waiting: std::nullopt if no message is queued.
  std::optional<Message> try_next() {
    if (messages_.empty()) return std::nullopt;
    std::optional<Message> first(std::move(messages_.front()));
    messages_.pop_front();
    if (messages_.size() <= options_.most_waiting / 2) pause_reading(false);
    return first;
  }

  // The number of queued messages.
  std::size_t waiting() const noexcept { return messages_.size(); }

 private:
  friend detail::ChangeRequest;
  friend detail::NextRequest;

  static std::exception_ptr connection_lost() noexcept {
    return detail::error({ECONNRESET, std::system_category()}, "redis: subscriber");
  }

  Changed change(detail::Change change, std::string_view name) {
    return Changed(std::make_unique<detail::ChangeRequest>(*this, change, name), 0U);
  }

  static constexpr const char* kNames[] = {"subscribe", "psubscribe", "unsubscribe",
                                           "punsubscribe"};

  static bool is_removal(detail::Change change) noexcept {
    return change == detail::Change::unsubscribe || change == detail::Change::punsubscribe;
  }
  static bool is_pattern(detail::Change change) noexcept {
    return change == detail::Change::psubscribe || change == detail::Change::punsubscribe;
  }

  void submit(std::unique_ptr<detail::ChangeRequest> request) {
    const detail::Change what = request->change_;
    const bool removes = is_removal(what);
    const bool pattern = is_pattern(what);
    if (removes && !names_.contains({pattern, request->name_})) {
      request.release()->answer(inbox_, std::monostate());  // hiredis would not say
      return;
    }
    if (!connected()) throw_not_sent();
    if (removes) {
      names_.erase({pattern, request->name_});
    } else {
      request->is_new_ = names_.emplace(pattern, request->name_).second;
    }
    if (!send(*request)) throw_not_sent();
    changes_.push_back(*request.release());
    keep_alive(true);
  }
  bool send(const detail::ChangeRequest& request) noexcept {
    const char* words[] = {kNames[static_cast<std::size_t>(request.change_)], request.name_.data()};
    const std::size_t sizes[] = {std::string_view(words[0]).size(), request.name_.size()};
    return ::redisAsyncCommandArgv(context_, &Subscriber::received, this, 2, words, sizes) ==
           REDIS_OK;
  }
  [[noreturn]] static void throw_not_sent() {
    throw std::system_error(make_error_code(Errc::not_sent), "redis: not connected");
  }

  void submit(std::unique_ptr<detail::NextRequest> request) {
    detail::NextRequest& next = *request;
    if (std::optional<Message> waiting = try_next()) {
      request.release()->answer(inbox_, std::move(*waiting));
    } else if (!connected()) {
      std::rethrow_exception(connection_lost());
    } else {
      static_cast<void>(request.release());
      next_.add(next);
      keep_alive(true);
    }
  }
  void forget(detail::NextRequest& request) noexcept {
    delete &request;
    returned();
  }
  // Called when the task of a request is gone that has been given a message.
  void pass_on(detail::NextRequest& request) noexcept {
    std::optional<Message> message = next_.take_back(request);
    if (!message.has_value()) return;
    if (!next_.serve(inbox_, *message)) {
      try {
        messages_.push_front(std::move(*message));
        if (messages_.size() >= options_.most_waiting) pause_reading(true);
      } catch (const std::bad_alloc&) {
        close_now();  // no message is lost unseen
      }
    }
    returned();
  }

  // Called by hiredis for all replies of a subscription, and with a null reply at its end.
  static void received(redisAsyncContext* /*context*/, void* reply, void* self) noexcept {
    if (reply != nullptr) static_cast<Subscriber*>(self)->take(static_cast<redisReply*>(reply));
  }
  void take(redisReply* reply) noexcept {
    const std::string_view kind = ReplyView(reply)[0].text();
    if (kind == "message" || kind == "pmessage") return deliver(reply);
    if (ReplyView(reply)[2].integer() == 0) refused_end_ = false;
    if (!changes_.linked()) return;
    detail::ChangeRequest& request = first_change();
    request.unlink();
    if (!refusal_.empty()) {
      request.refusal_ = std::exchange(refusal_, {});
      if (has_hiredis_forget(request)) return;
    }
    if (request.is_abandoned()) {
      delete &request;
    } else if (!request.refusal_.empty()) {
      fail_refused(request);
    } else {
      request.answer(inbox_, std::monostate());
    }
  }
  void fail_refused(detail::ChangeRequest& request) noexcept {
    request.fail(inbox_, detail::error(make_error_code(Errc::refused), request.refusal_.c_str()));
  }
  // See Session. Replies come in order, so the error is for the first change, if no command is
  // under way.
  redisReply* refused(std::string_view why) noexcept override {
    if (in_flight() > 0 || !changes_.linked()) return nullptr;
    try {
      refusal_ = "redis: " + std::string(why);
    } catch (const std::bad_alloc&) {
      return nullptr;
    }
    const detail::ChangeRequest& request = first_change();
    if (is_removal(request.change_) && request.refusal_.empty()) refused_end_ = true;
    // hiredis ends the process at a message that comes when no subscription is left.
    const std::size_t left = names_.size() + (refused_end_ ? 1 : 0);
    return make_reply(kNames[static_cast<std::size_t>(request.change_)], request.name_,
                      static_cast<long long>(left));
  }
  // hiredis treats a refused subscription as active until it is ended: ends it, and then answers
  // the request. Returns false if there is nothing to do.
  bool has_hiredis_forget(detail::ChangeRequest& request) noexcept {
    const bool pattern = is_pattern(request.change_);
    if (!request.is_new_ || names_.erase({pattern, request.name_}) == 0) return false;
    request.change_ = pattern ? detail::Change::punsubscribe : detail::Change::unsubscribe;
    request.is_new_ = false;
    if (!send(request)) return false;
    changes_.push_back(request);
    return true;
  }
  void deliver(redisReply* message) noexcept {
    if (!next_.empty()) {
      Message kept(detail::keep(message));
      static_cast<void>(next_.serve(inbox_, kept));
      return;
    }
    try {
      messages_.emplace_back();
    } catch (const std::bad_alloc&) {
      ::redisAsyncFree(context_);  // when this has returned: no message is lost unseen
      return;
    }
    messages_.back() = Message(detail::keep(message));
    if (messages_.size() >= options_.most_waiting) pause_reading(true);
  }

  // Of Session.
  void returned() noexcept override {
    Connection::returned();
    if (connected()) keep_alive(!next_.empty() || changes_.linked() || in_flight() > 0);
  }
  void lost() noexcept override {
    Connection::lost();
    names_.clear();
    refusal_.clear();
    refused_end_ = false;
    while (changes_.linked()) {
      detail::ChangeRequest& request = first_change();
      request.unlink();
      if (request.is_abandoned()) {
        delete &request;
      } else if (!request.refusal_.empty()) {
        fail_refused(request);
      } else {
        request.fail(inbox_,
                     detail::error(make_error_code(Errc::unknown_outcome), "redis: subscriber"));
      }
    }
    next_.fail_all(
        [this](detail::NextRequest& request) { request.fail(inbox_, connection_lost()); });
  }
  detail::ChangeRequest& first_change() const noexcept {
    return static_cast<detail::ChangeRequest&>(
        static_cast<adapters::detail::Answered&>(*changes_.next()));
  }

  Options options_;
  std::set<std::pair<bool, std::string>> names_;  // is a pattern, name
  co::detail::Link changes_;                      // in the order in which they were sent
  adapters::detail::Waiters<detail::NextRequest> next_;
  std::deque<Message> messages_;
  std::string refusal_;       // of the first change, while hiredis handles the reply
  bool refused_end_ = false;  // the server has refused to end a subscription
};

inline void detail::ChangeRequest::begin(std::unique_ptr<ChangeRequest> request) {
  Subscriber& subscriber = request->subscriber_;
  subscriber.submit(std::move(request));
}
inline void detail::NextRequest::begin(std::unique_ptr<NextRequest> request) {
  Subscriber& subscriber = request->subscriber_;
  subscriber.submit(std::move(request));
}
inline void detail::NextRequest::abandoned() noexcept { subscriber_.forget(*this); }
inline void detail::NextRequest::unclaimed() noexcept { subscriber_.pass_on(*this); }
inline void detail::NextRequest::taken() noexcept { subscriber_.next_.taken(*this); }

}  // namespace event_cpp::redis

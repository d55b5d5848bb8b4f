// Multi: runs transfers of libcurl on a base.
#pragma once

#include <curl/curl.h>
#include <sys/types.h>
#include <unistd.h>

#include <chrono>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <functional>
#include <memory>
#include <new>
#include <string>
#include <system_error>
#include <utility>
#include <variant>
#include <vector>

#include "event/adapters/curl/easy.hpp"
#include "event/adapters/curl/error.hpp"
#include "event/adapters/curl/sockets.hpp"
#include "event/adapters/detail/request.hpp"
#include "event/timer.hpp"

namespace event_cpp::curl {

class Multi;

namespace detail {

class Transfer final : public adapters::detail::Request<Transfer, std::monostate> {
 public:
  static constexpr const char* kWhat = "curl transfer";
  Transfer(Multi& multi, Easy easy) noexcept : multi_(&multi), easy_(std::move(easy)) {}

  static inline void begin(std::unique_ptr<Transfer> transfer);
  inline void abandoned() noexcept;

 private:
  friend class curl::Multi;
  Multi* multi_;
  Easy easy_;
  Transfer* previous_ = nullptr;  // of those that run
  Transfer* next_ = nullptr;
};

}  // namespace detail

// Runs any number of transfers concurrently, with a multi handle of libcurl and its socket
// interface. See curl_multi_socket_action(3).
//
//   curl::Multi multi(base);
//   curl::Easy easy("http://localhost/");
//   easy.set(CURLOPT_TIMEOUT, 10);
//   co_await multi.perform(easy);
//   std::cout << easy.status();
//
// For a body as a string or in parts see get() and Download, in <event/adapters/curl.hpp>.
//
//   - Cancelling a transfer closes its connection if that is HTTP/1. Other transfers go on.
//   - libcurl looks up names in a thread of its own. Cancelling a transfer during the lookup blocks
//     until that thread has ended. get() and Download look up the name of the URL with
//     net::resolve() instead, unless the transfer uses a proxy.
//   - libcurl sends without SIGPIPE. With TLS an old libcurl may raise it: ignore the signal then.
//   - Idle connections are kept for reuse, and closed when no transfer has run for Options::idle.
//
// Thread-safety: belongs to the thread that runs its base. Lifetime: it may be destroyed while
// transfers run, but not in a callback of libcurl: waiting tasks resume with
// CURLE_ABORTED_BY_CALLBACK, and callbacks are not called. While a transfer runs dispatch() does
// not return for lack of events. The child of a fork(2) may destroy it, together with the tasks
// that use it: the transfers and connections of the parent go on.
class Multi {
 public:
  struct Options {
    AnyDuration idle = std::chrono::seconds(30);
    // Called when an fd of libcurl is ready all the time without any progress of the transfers.
    // Such an fd is then not watched for a second. For logging.
    std::function<void(int fd)> on_stuck;
  };

  // Errors: throws std::bad_alloc.
  explicit Multi(Base& base) : Multi(base, Options()) {}
  Multi(Base& base, Options options)
      : options_(std::move(options)),
        inbox_(base),
        timer_(base, [this] { act(CURL_SOCKET_TIMEOUT, 0); }),
        idle_(base, [this] { make(); }),
        kick_(base, [this] { call([] {}); }),
        sockets_(base, {[this](curl_socket_t fd, int bits) { act(fd, bits); },
                        [this] { return progress(); },
                        [this](curl_socket_t fd) {
                          const auto on_stuck = options_.on_stuck;  // it may destroy this
                          if (on_stuck) on_stuck(fd);
                        }}) {
    idle_.keep_alive(false);
    make();
  }
  ~Multi() {
    closing_ = true;
    inbox_.enter();
    leave_to_parent();
    while (first_ != nullptr) {
      detail::Transfer& transfer = *first_;
      remove(transfer);
      transfer.fail(inbox_, error(CURLE_ABORTED_BY_CALLBACK, "curl: the Multi is gone"));
    }
    sockets_.clear();
    multi_.reset();
  }
  Multi(const Multi&) = delete;
  Multi& operator=(const Multi&) = delete;

  Base& base() const noexcept { return inbox_.base(); }

  // co_await: runs a transfer to its end. Shares the handle of `easy`, which must not be in another
  // transfer. An HTTP error is not an exception but a status(), unless CURLOPT_FAILONERROR is set.
  // Errors: throws std::system_error of category(), such as CURLE_COULDNT_CONNECT;
  // CURLE_FAILED_INIT if `easy` is in another transfer, or this is called in a callback of libcurl;
  // std::errc::operation_canceled; std::bad_alloc.
  [[nodiscard]] auto perform(const Easy& easy, unsigned line = __builtin_LINE()) {
    return adapters::detail::Ask<detail::Transfer>(std::make_unique<detail::Transfer>(*this, easy),
                                                   line);
  }
  // The same for callbacks: calls f(adapters::Outcome<std::monostate>). An exception of f leaves
  // dispatch().
  template <std::invocable<adapters::Outcome<std::monostate>> F>
  void perform(const Easy& easy, F f) {
    detail::Transfer::begin_with(std::make_unique<detail::Transfer>(*this, easy),
                                 detail::Transfer::Function(std::move(f)));
  }

  // Resumes a paused transfer in the next iteration, with CURLPAUSE_CONT of curl_easy_pause(3).
  // Does nothing if it has ended. Errors: throws std::bad_alloc.
  void unpause(const Easy& easy) {
    paused_.push_back(easy);
    kick_.activate(Events::timeout);
  }

  // The number of running transfers.
  std::size_t size() const noexcept { return size_; }
  // The number of sockets that are watched for libcurl.
  std::size_t sockets() const noexcept { return sockets_.size(); }
  // The handle of libcurl. It is replaced by another one after Options::idle.
  CURLM* get() const noexcept { return multi_.get(); }

 private:
  friend detail::Transfer;

  struct Cleanup {
    void operator()(CURLM* multi) const noexcept { ::curl_multi_cleanup(multi); }
  };

  // Without memory it is std::bad_alloc.
  static std::exception_ptr error(CURLcode code, const char* why) noexcept {
    try {
      return std::make_exception_ptr(std::system_error(code, category(), why));
    } catch (...) {
      return std::current_exception();
    }
  }

  // Replaces the handle: libcurl closes idle connections only together with it, or when it needs
  // another connection.
  void make() {
    multi_.reset();
    multi_.reset(::curl_multi_init());
    if (multi_ == nullptr) throw std::bad_alloc();
    ::curl_multi_setopt(get(), CURLMOPT_SOCKETFUNCTION, &Multi::on_socket);
    ::curl_multi_setopt(get(), CURLMOPT_SOCKETDATA, this);
    ::curl_multi_setopt(get(), CURLMOPT_TIMERFUNCTION, &Multi::on_timer);
    ::curl_multi_setopt(get(), CURLMOPT_TIMERDATA, this);
  }

  // What libcurl calls.
  static int on_socket(CURL* /*easy*/, curl_socket_t fd, int what, void* self,
                       void* /*socket*/) noexcept {
    auto& multi = *static_cast<Multi*>(self);
    ++multi.events_;
    if (multi.closing_) return 0;
    return multi.sockets_.change(fd, what) ? 0 : -1;
  }
  static int on_close(void* self, curl_socket_t fd) noexcept {
    auto& multi = *static_cast<Multi*>(self);
    multi.sockets_.closed(fd);
    return ::close(fd);
  }
  static int on_timer(CURLM* /*multi*/, long milliseconds, void* self) noexcept {
    auto& multi = *static_cast<Multi*>(self);
    ++multi.events_;
    if (multi.closing_) return 0;
    if (milliseconds < 0) {
      multi.timer_.detach();
      return 0;
    }
    // Also for 0: libcurl must not be called here.
    return multi.timer_.try_rearm(std::chrono::milliseconds(milliseconds)) ? -1 : 0;
  }

  // Calls libcurl, in a callback of the base, and then handles transfers that have ended.
  template <class F>
  void call(F f) {
    inbox_.enter();
    inside_ = true;
    f();
    for (const Easy& easy : std::exchange(paused_, {})) {
      ::curl_easy_pause(easy.get(), CURLPAUSE_CONT);
    }
    inside_ = false;
    while (removed_.linked()) {
      auto& transfer = static_cast<detail::Transfer&>(
          static_cast<adapters::detail::Answered&>(*removed_.next()));
      transfer.unlink();
      abandon(transfer);
    }
    take_ended();
    inbox_.leave();  // last: this may be gone then
  }
  void act(curl_socket_t fd, int bits) {
    call([&] {
      int running = 0;
      ::curl_multi_socket_action(get(), fd, bits, &running);
    });
  }
  void take_ended() noexcept {
    int left = 0;
    while (const CURLMsg* const message = ::curl_multi_info_read(get(), &left)) {
      if (message->msg != CURLMSG_DONE) continue;
      const CURLcode code = message->data.result;
      void* known = nullptr;
      ::curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &known);
      if (known == nullptr) continue;
      auto& transfer = *static_cast<detail::Transfer*>(known);
      remove(transfer);
      if (code == CURLE_OK) {
        transfer.answer(inbox_, std::monostate());
      } else {
        transfer.fail(inbox_, error(code, transfer.easy_.message().data()));
      }
    }
  }

  // In the child of a fork nothing may be sent on connections of the parent, as TLS and FTP do at
  // their end.
  bool is_own() const noexcept { return process_ == ::getpid(); }
  void leave_to_parent() noexcept {
    if (!is_own()) sockets_.disconnect();
  }
  // For a child that goes on to use this: none of the parent's connections is reused.
  void take_over() {
    leave_to_parent();
    process_ = ::getpid();
    if (first_ == nullptr) make();
  }

  void add(std::unique_ptr<detail::Transfer> transfer) {
    if (!is_own()) take_over();
    CURL* const easy = transfer->easy_.get();
    void* known = nullptr;
    ::curl_easy_getinfo(easy, CURLINFO_PRIVATE, &known);
    if (known != nullptr) {
      throw std::system_error(CURLE_FAILED_INIT, category(),
                              "curl: the handle is in another transfer already");
    }
    detail::check(::curl_multi_add_handle(get(), easy), "curl_multi_add_handle");
    idle_.detach();
    detail::Transfer* const added = transfer.release();
    ::curl_easy_setopt(easy, CURLOPT_PRIVATE, added);
    ::curl_easy_setopt(easy, CURLOPT_CLOSESOCKETFUNCTION, &Multi::on_close);
    ::curl_easy_setopt(easy, CURLOPT_CLOSESOCKETDATA, this);
    added->next_ = first_;
    if (first_ != nullptr) first_->previous_ = added;
    first_ = added;
    ++size_;
  }
  void remove(detail::Transfer& transfer) noexcept {
    leave_to_parent();
    CURL* const easy = transfer.easy_.get();
    ::curl_multi_remove_handle(get(), easy);
    // The handle may outlive this. Connections that are kept have copied both options.
    ::curl_easy_setopt(easy, CURLOPT_CLOSESOCKETFUNCTION, nullptr);
    ::curl_easy_setopt(easy, CURLOPT_CLOSESOCKETDATA, nullptr);
    ::curl_easy_setopt(easy, CURLOPT_PRIVATE, nullptr);
    (transfer.previous_ != nullptr ? transfer.previous_->next_ : first_) = transfer.next_;
    if (transfer.next_ != nullptr) transfer.next_->previous_ = transfer.previous_;
    // Not in the child of a fork, whose base may not be used before Base::after_fork().
    if (--size_ == 0 && !closing_ && is_own()) {
      static_cast<void>(idle_.try_rearm(options_.idle));
    }
    ++events_;
  }
  // Called when the task of the transfer was destroyed or cancelled. In a callback of libcurl the
  // transfer cannot be removed at once.
  void abandon(detail::Transfer& transfer) noexcept {
    if (inside_) {
      removed_.push_back(transfer);
    } else {
      remove(transfer);
      delete &transfer;
    }
  }

  // A number that changes with any progress of the transfers.
  std::uint64_t progress() const noexcept {
    std::uint64_t sum = events_;
    for (const detail::Transfer* transfer = first_; transfer != nullptr;
         transfer = transfer->next_) {
      for (const CURLINFO what : {CURLINFO_SIZE_DOWNLOAD_T, CURLINFO_SIZE_UPLOAD_T}) {
        sum += static_cast<std::uint64_t>(transfer->easy_.info<curl_off_t>(what));
      }
      for (const CURLINFO what : {CURLINFO_HEADER_SIZE, CURLINFO_REQUEST_SIZE}) {
        sum += static_cast<std::uint64_t>(transfer->easy_.info<long>(what));
      }
    }
    return sum;
  }

  Options options_;
  adapters::detail::Inbox inbox_;
  Timer timer_;  // libcurl's
  Timer idle_;   // while nothing runs
  Timer kick_;   // never attached: activated
  detail::Sockets sockets_;
  std::unique_ptr<CURLM, Cleanup> multi_;
  detail::Transfer* first_ = nullptr;
  std::size_t size_ = 0;
  pid_t process_ = ::getpid();  // that the connections belong to
  std::uint64_t events_ = 0;
  std::vector<Easy> paused_;  // that are to go on
  co::detail::Link removed_;  // transfers whose task is gone, in a callback of libcurl
  bool inside_ = false;
  bool closing_ = false;
};

inline void detail::Transfer::begin(std::unique_ptr<Transfer> transfer) {
  Multi& multi = *transfer->multi_;
  multi.add(std::move(transfer));
}
inline void detail::Transfer::abandoned() noexcept { multi_->abandon(*this); }

}  // namespace event_cpp::curl

// A small server: connections that are echoed, with all that a base has beside them.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <thread>
#include <utility>

#include "event/event.hpp"
#include "journal.hpp"
#include "support/descriptors.hpp"

namespace event_cpp::faults {

using test::Fd;

// Whatever fails once on its way is done again, and then everything has come exactly as often as if
// nothing had failed.
class ServerAct {
 public:
  // Everything that is not the library's is made here.
  ServerAct(Journal& journal, Backend backend);
  ~ServerAct();
  ServerAct(const ServerAct&) = delete;
  ServerAct& operator=(const ServerAct&) = delete;

  // Errors: throws GivenUp.
  void run();

 private:
  // What is counted.
  enum What : std::uint8_t {
    accepted,
    ended,  // connections whose peer has said all
    changing,
    once,
    after,
    timer,
    timers,
    ticker,
    signal,
    blocked_signal,
    child,
    alarm,
    posted,
    file,
    idle,
    last  // a name for none of them
  };
  static constexpr std::size_t kClients = 3;
  static constexpr std::size_t kTimers = 20;
  static constexpr int kPosts = 5;  // by another thread

  class Connection;

  template <class Step>
  void attempt(const char* name, Step&& step) {
    faults::attempt(journal_, name, std::forward<Step>(step));
  }

  void start_child();
  void count(What what) noexcept;
  bool is_complete() const noexcept;

  void make_base();
  void attach_descriptors();
  void attach_times();
  void attach_signals();
  void accept_one();
  void cause_things();
  void post_some();
  void post_from_thread() noexcept;
  void check();
  void check_answer(const Fd& client);

  Journal& journal_;
  const Backend backend_;
  std::array<int, last> counts_{};
  std::array<std::uint64_t, 2> hooks_ran_{};
  bool hung_ = false;

  const Fd listener_;
  std::array<Fd, kClients> clients_;
  const test::Pipe ready_ = test::readable_pipe();
  const test::Pipe silent_ = test::make_pipe();
  const test::Sockets changing_ = test::socket_pair();
  const Fd file_ = test::regular_file();
  test::Pipe gate_ = test::make_pipe();  // its end is the child's
  pid_t process_ = -1;

  // Some end before the base, others after it.
  std::optional<Event> on_file_, idle_;
  std::optional<Timer> timer_;
  std::optional<Base> base_;
  std::array<std::unique_ptr<Connection>, kClients> connections_;
  std::optional<Event> listening_, reading_, writing_;
  std::optional<Timer> bound_;
  std::array<std::optional<Timer>, kTimers> timers_;
  std::optional<Ticker> ticker_;
  std::optional<Signal> signal_, blocked_signal_;
  std::optional<Child> child_;
  std::optional<Alarm> alarm_;
  std::optional<Hook> before_wait_, after_wait_;

  enum class Posting : std::uint8_t { not_yet, now, never };
  std::atomic<Posting> posting_ = Posting::not_yet;
  std::thread poster_;
};

}  // namespace event_cpp::faults

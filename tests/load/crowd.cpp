#include "load/crowd.hpp"

#include <sys/epoll.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <system_error>

#include "support/uninterrupted.hpp"

namespace load {

using event_cpp::test::uninterrupted;
using namespace std::chrono_literals;

void Crowd::set_mode(Mode mode, std::size_t first, std::size_t last, Span spread) {
  world_.look_at_clock();
  world_.mode = mode;
  const auto most = static_cast<std::uint64_t>(spread.count());
  for (std::size_t i = first; i < last; ++i) {
    sessions_[i].follow_mode(Span(static_cast<Span::rep>(world_.between(0, most))));
  }
}

template <class Act>
void Crowd::each_parked(std::size_t first, std::size_t count, Act act) {
  world_.look_at_clock();
  for (std::size_t i = first; count > 0 && i < sessions_.size(); ++i) {
    if (!sessions_[i].parked()) continue;
    act(sessions_[i]);
    --count;
  }
}

void Crowd::greet_again(std::size_t first, std::size_t count) {
  each_parked(first, count, [](Session& session) { session.greet_again(); });
}

void Crowd::leave(std::size_t first, std::size_t count) {
  each_parked(first, count, [](Session& session) { session.leave(); });
}

void Crowd::flood(std::size_t first, std::size_t count, std::uint64_t bytes) {
  each_parked(first, count, [bytes](Session& session) { session.flood(bytes); });
}

bool Crowd::run(Span time, const std::function<bool()>& done,
                const std::function<void()>& each_second) {
  world_.look_at_clock();
  const Time end = world_.now() + time;
  while (world_.now() < end && world_.tally.failed < options_.hopeless) {
    if (done()) return true;
    turn();
    if (world_.now() - checked_at_ < 1s) continue;
    checked_at_ = world_.now();
    check_progress();
    each_second();
  }
  return done();
}

// What is due, then what the kernel reports.
void Crowd::turn() {
  constexpr int kLongestWait = 20;  // milliseconds: done() may be about something else
  while (Session* session = world_.pop_due()) session->on_alarm();

  const auto until_alarm = world_.next_alarm() - world_.now();
  const auto wait = std::chrono::ceil<std::chrono::milliseconds>(
      std::clamp<Span>(until_alarm, Span::zero(), std::chrono::milliseconds(kLongestWait)));
  std::array<epoll_event, 512> ready;
  const int count = uninterrupted([&] {
    return ::epoll_wait(world_.epoll(), ready.data(), static_cast<int>(ready.size()),
                        static_cast<int>(wait.count()));
  });
  if (count < 0) throw std::system_error(errno, std::system_category(), "epoll_wait");
  world_.look_at_clock();
  // Each event is the only one of its session in this batch, and none closes another's descriptor.
  for (int i = 0; i < count; ++i) {
    const epoll_event& event = ready[static_cast<std::size_t>(i)];
    static_cast<Session*>(event.data.ptr)->on_event(event.events);
  }
}

void Crowd::check_progress() {
  for (Session& session : sessions_) session.check_progress(options_.patience);
}

bool Crowd::all(std::size_t first, std::size_t last, bool (Session::*are)() const noexcept) const {
  return std::all_of(sessions_.begin() + static_cast<std::ptrdiff_t>(first),
                     sessions_.begin() + static_cast<std::ptrdiff_t>(last),
                     [&](const Session& session) { return (session.*are)(); });
}

}  // namespace load

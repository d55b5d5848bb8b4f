#include "load/session.hpp"

#include <sys/epoll.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <string_view>
#include <system_error>

#include "support/uninterrupted.hpp"

namespace load {

using event_cpp::test::uninterrupted;
using namespace std::chrono_literals;

namespace {

int pending_error(int fd) {
  int error = 0;
  socklen_t size = sizeof error;
  (void)::getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size);
  return error;
}

std::string text_of(int error) { return std::system_category().message(error); }

}  // namespace

void Session::on_alarm() {
  if (alarm_ > world_.now()) return;
  alarm_ = Time::max();
  if (state_ == State::away) return connect();
  if (state_ == State::open) step();
}

void Session::on_event(std::uint32_t events) {
  if (state_ == State::connecting) return on_connected();
  if ((events & (EPOLLIN | EPOLLERR | EPOLLHUP)) != 0) receive();
  if (state_ == State::open) step();
}

void Session::follow_mode(Span after) {
  left_ = false;
  switch (state_) {
    case State::away:
      if (world_.mode != Mode::retire) return wake_at(world_.now() + after);
      alarm_ = Time::max();
      return;
    case State::connecting:
    case State::finishing:
      return;
    case State::open:
      if (world_.mode != Mode::work) return cut_short();
      begin(plan_for(role_, world_), after);
      return step();
  }
}

bool Session::brings_answer() const noexcept {
  return world_.mode != Mode::work ||
         (role_ != Role::silent && role_ != Role::resetting && role_ != Role::never_reading);
}

void Session::connect() {
  if (world_.mode == Mode::retire) return;
  if (!world_.has_room(brings_answer())) return wake_at(world_.now() + 5ms);
  fd_ = world_.connect();
  if (!fd_) {
    world_.tally.fail("connect: " + text_of(errno));
    return wake_at(world_.now() + 1s);
  }
  ticket_ = world_.take_ticket();
  state_ = State::connecting;
  progress_at_ = world_.now();
  watched_ = EPOLLOUT;
  epoll_event watched{.events = watched_, .data = {.ptr = this}};
  if (::epoll_ctl(world_.epoll(), EPOLL_CTL_ADD, fd_.get(), &watched) != 0) {
    throw std::system_error(errno, std::system_category(), "epoll_ctl");
  }
}

void Session::on_connected() {
  state_ = State::open;
  ++world_.open;
  ++world_.tally.connections;
  connected_at_ = progress_at_ = world_.now();
  start_ = world_.between(0, Material::kPeriod - 1);
  sent_ = received_ = target_ = 0;
  awaiting_ = false;
  if (const int error = pending_error(fd_.get())) return fail("connect: " + text_of(error));
  begin(world_.mode == Mode::work ? plan_for(role_, world_) : greeting());
  if (world_.mode == Mode::retire) plan_.ending = Ending::orderly;
  step();
}

// From here on the connection, new or with something behind it, follows this plan.
void Session::begin(const Plan& plan, Span after) {
  set_parked(false);
  plan_ = plan;
  // What it has sent by now is on top of the plan, or the end of one that sends nothing more.
  if (plan_.bytes < Plan::kEndless - sent_) plan_.bytes += sent_;
  target_ = sent_;
  awaiting_ = false;
  progress_at_ = world_.now();
  const Time begins = world_.now() + after + plan_.begins_after;
  next_piece_at_ = begins;
  reads_from_ = plan_.reads_after > Span::zero() ? begins + plan_.reads_after : world_.now();
  ends_at_ = begins + plan_.ends_after;
  stalled_ = plan_.reads_after > Span::zero();
}

void Session::cut_short() {
  if (parked_ && world_.mode == Mode::park) return;
  if (plan_.ending == Ending::dropped) return reset();
  set_parked(false);
  if (sent_ == 0 && plan_.ending == Ending::never) begin(greeting());
  if (world_.mode == Mode::retire && plan_.ending == Ending::never) {
    plan_.ending = Ending::orderly;
  }
  if (stalled_) count_stall();
  if (plan_.bytes > sent_ && sent_ > 0) plan_.bytes = target_ = sent_;
  awaiting_ = false;
  reads_from_ = ends_at_ = world_.now();
  progress_at_ = world_.now();
  step();
}

void Session::greet_again() {
  begin(greeting());
  step();
}

void Session::flood(std::uint64_t bytes) {
  begin({.bytes = bytes, .reads_after = 1h, .ending = Ending::never});
  step();
}

void Session::leave() {
  set_parked(false);
  left_ = true;
  plan_.ending = Ending::orderly;
  step();
}

// Does all that is due. The state is open before, and may be anything after.
void Session::step() {
  if (sent_ == target_ && target_ < plan_.bytes && world_.now() >= next_piece_at_) begin_piece();
  if (sent_ < target_) send_some();
  if (state_ != State::open) return;
  if (!reading() && sent_ == plan_.bytes && sent_ >= World::kTooMuch) {
    return fail("the server took all that although no answer was read");
  }
  if (wants_to_end()) return end();
  if (world_.mode == Mode::park && plan_.ending == Ending::never && sent_ > 0 && sent_ == target_ &&
      received_ == sent_) {
    set_parked(true);
  }
  watch();
  wake_next();
}

void Session::begin_piece() {
  const std::uint64_t left = plan_.bytes - sent_;
  std::uint64_t size = left;
  if (plan_.piece == 1) size = 1;
  if (plan_.piece > 1) size = std::min(left, world_.between(1, plan_.piece));
  target_ = sent_ + size;
  piece_began_ = progress_at_ = world_.now();
  next_piece_at_ = Time::max();
  awaiting_ = plan_.in_turn;
}

void Session::send_some() {
  while (sent_ < target_) {
    const std::size_t size = std::min<std::uint64_t>(target_ - sent_, Material::kLongest);
    const std::string_view bytes = world_.material.at(start_, sent_, size);
    const ssize_t n =
        uninterrupted([&] { return ::send(fd_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL); });
    if (n < 0) {
      if (errno != EAGAIN) fail("send: " + text_of(errno));
      return;
    }
    sent_ += static_cast<std::uint64_t>(n);
    note_progress();
  }
  if (!plan_.in_turn && target_ < plan_.bytes) {
    next_piece_at_ = world_.now() + world_.span(0ms, 2 * plan_.pause);
  }
}

// Once: if that does not drain the socket, it is reported again.
void Session::receive() {
  const ssize_t n = uninterrupted(
      [&] { return ::recv(fd_.get(), world_.buffer.data(), world_.buffer.size(), 0); });
  if (n > 0) return accept_bytes(static_cast<std::size_t>(n));
  if (n == 0) return on_end_of_stream();
  if (errno != EAGAIN) fail("recv: " + text_of(errno));
}

void Session::accept_bytes(std::size_t count) {
  note_progress();
  world_.has_answered(ticket_);
  world_.tally.received += count;
  if (received_ + count > sent_) return fail("more came back than was sent");
  if (!world_.material.matches(start_, received_, {world_.buffer.data(), count})) {
    return fail("something else came back, at or after byte " + std::to_string(received_));
  }
  received_ += count;
  if (stalled_) count_stall();
  if (awaiting_ && sent_ == target_ && received_ == sent_) on_answered();
}

// It begins to read, or goes away without. If it could not send all, the server had stopped
// reading.
void Session::count_stall() {
  stalled_ = false;
  ++world_.tally.stalls;
  if (sent_ < target_) ++world_.tally.blocked;
}

void Session::on_answered() {
  awaiting_ = false;
  ++world_.tally.messages;
  if (role_ == Role::steady && world_.mode == Mode::work) {
    // A clock of its own: others' work may have come between.
    const auto taken =
        std::chrono::duration_cast<std::chrono::microseconds>(Clock::now() - piece_began_);
    world_.tally.latencies.push_back(static_cast<std::uint32_t>(taken.count()));
  }
  next_piece_at_ = world_.now() + world_.span(0ms, 2 * plan_.pause);
}

void Session::on_end_of_stream() {
  if (state_ != State::finishing) return fail("the server closed too early");
  if (received_ != sent_) return fail("the server closed before all had come back");
  world_.has_answered(ticket_);
  ++world_.tally.orderly;
  close(world_.tally.sent_orderly);
}

bool Session::wants_to_end() const {
  if (world_.now() < ends_at_) return false;
  switch (plan_.ending) {
    case Ending::never:
      return false;
    case Ending::orderly:
      return sent_ == plan_.bytes && received_ == sent_;
    case Ending::half_closed:
    case Ending::reset:
      return sent_ == plan_.bytes;
    case Ending::dropped:
      return true;
  }
  return true;
}

void Session::end() {
  if (plan_.ending == Ending::reset || plan_.ending == Ending::dropped) return reset();
  if (received_ < sent_) ++world_.tally.half_closes;
  if (::shutdown(fd_.get(), SHUT_WR) != 0) return fail("shutdown: " + text_of(errno));
  state_ = State::finishing;
  progress_at_ = world_.now();
  watch();
}

void Session::reset() {
  const linger at_once{.l_onoff = 1, .l_linger = 0};
  (void)::setsockopt(fd_.get(), SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
  ++world_.tally.resets;
  if (stalled_) count_stall();
  close(world_.tally.sent_before_reset);
}

void Session::close(std::uint64_t& sent_total) {
  set_parked(false);
  if (connected()) --world_.open;
  sent_total += sent_;
  fd_ = UniqueFd();
  state_ = State::away;
  if (left_) return;
  if (world_.mode == Mode::work) wake_at(world_.now() + world_.span(0ms, 100ms));
  if (world_.mode == Mode::park) wake_at(world_.now());
}

void Session::fail(const std::string& why) {
  const auto age =
      std::chrono::duration_cast<std::chrono::milliseconds>(world_.now() - connected_at_);
  world_.tally.fail(std::string(name_of(role_)) + " client " + std::to_string(number_) + ": " +
                    why + "; sent " + std::to_string(sent_) + ", received " +
                    std::to_string(received_) + ", connected for " + std::to_string(age.count()) +
                    " ms");
  reset();
}

void Session::check_progress(Span patience) {
  const bool waits = state_ == State::connecting || state_ == State::finishing ||
                     (state_ == State::open && reading() && (received_ < sent_ || sent_ < target_));
  if (!waits || world_.now() - progress_at_ < patience) return;
  fail(state_ == State::connecting ? "stuck: not connected"
       : received_ == sent_        ? "stuck: the server neither reads nor closes"
                                   : "stuck: no answer");
}

void Session::note_progress() { progress_at_ = world_.last_progress = world_.now(); }

void Session::set_parked(bool parked) {
  if (parked && !parked_) ++world_.parked;
  if (!parked && parked_) --world_.parked;
  parked_ = parked;
}

void Session::watch() {
  std::uint32_t wanted = 0;
  if (reading()) wanted |= EPOLLIN;
  if (state_ == State::open && sent_ < target_) wanted |= EPOLLOUT;
  if (wanted == watched_) return;
  watched_ = wanted;
  epoll_event watched{.events = wanted, .data = {.ptr = this}};
  if (::epoll_ctl(world_.epoll(), EPOLL_CTL_MOD, fd_.get(), &watched) != 0) {
    fail("epoll_ctl: " + text_of(errno));
  }
}

// The next time at which there is something to do without the server's doing.
void Session::wake_next() {
  Time next = Time::max();
  const auto consider = [&](Time when) {
    if (when > world_.now()) next = std::min(next, when);
  };
  if (sent_ == target_ && target_ < plan_.bytes) consider(next_piece_at_);
  consider(reads_from_);
  if (plan_.ending != Ending::never) consider(ends_at_);
  if (next != Time::max()) wake_at(next);
}

void Session::wake_at(Time when) {
  if (when == alarm_) return;
  alarm_ = when;
  world_.wake_at(when, *this);
}

}  // namespace load

#include "event/net/memory.hpp"

#include <algorithm>
#include <array>
#include <cassert>
#include <cerrno>
#include <cstring>
#include <deque>
#include <limits>
#include <new>
#include <string>
#include <utility>

#include "event/event_class.hpp"
#include "net/drop_waiters.hpp"
#include "sys/deadline.hpp"

namespace event_cpp::net {
namespace {

constexpr std::size_t kUnlimited = std::numeric_limits<std::size_t>::max();

// A number of bytes that arrive together.
struct Arrival {
  TimePoint time;
  std::size_t bytes;
};

// From one end to the other.
struct Direction {
  std::string bytes;           // written and not read
  std::size_t arrived = 0;     // of these
  std::deque<Arrival> coming;  // the rest, by time
  TimePoint end{};             // when the end arrives
  bool ended = false;          // nothing more is written
  bool end_arrived = false;
  bool dropped = false;  // the reader has closed
};

}  // namespace

struct Memory::State {
  class End;

  State(Base& its_base, std::size_t its_room);
  ~State();

  Io read(int end, Room to) noexcept;
  Io write(int end, Bytes bytes) noexcept;
  void end(int from) noexcept;
  void receive() noexcept;
  void wake_all() noexcept;
  bool may_read(int end) const noexcept {
    const Direction& direction = directions[static_cast<std::size_t>(1 - end)];
    return direction.arrived > 0 || direction.end_arrived || broken();
  }
  bool may_write(int end) const noexcept {
    const Direction& direction = directions[static_cast<std::size_t>(end)];
    return direction.bytes.size() < room || direction.dropped || broken();
  }
  bool broken() const noexcept { return left == 0; }
  Io error_io() const noexcept;
  TimePoint arrival(const Direction& direction) const noexcept;
  void expect(TimePoint time) noexcept;

  Base& base;
  const std::size_t room;
  std::size_t most = kUnlimited;
  std::size_t left = kUnlimited;  // bytes until it breaks
  std::error_code error;
  Duration latency{};
  std::array<Direction, 2> directions;  // by the end that writes
  Event arrivals;                       // when the next bytes arrive
  std::array<std::unique_ptr<End>, 2> ends;
};

class Memory::State::End final : public Stream {
 public:
  End(State& state, int index)
      : state_(state), index_(index), turn_(state.base, -1, Events::none, [this] { on(); }) {}
  ~End() override {
    close();
    drop_waiters();  // who has come since it was closed
  }

  Io try_read(Room to) noexcept override {
    if (closed_) return -EBADF;
    if (timed_out_) return -ETIMEDOUT;
    if (to.empty()) return 0;
    return moved(state_.read(index_, to));
  }
  Io try_write(Bytes bytes) noexcept override {
    if (closed_) return -EBADF;
    if (timed_out_) return -ETIMEDOUT;
    if (torn_) return to_io(Errc::torn);
    if (shut_) return -EPIPE;
    return moved(state_.write(index_, bytes));
  }
  Io try_write(std::span<const Bytes> pieces) noexcept override {
    Io sum = 0;
    for (const Bytes piece : pieces) {
      if (piece.empty()) continue;
      const Io io = try_write(piece);
      if (io < 0) return sum > 0 ? sum : io;
      sum += io;
      if (static_cast<std::size_t>(io) < piece.size()) break;
    }
    return sum > 0 ? sum : try_write(Bytes());  // nothing to write: says if that could not be
  }
  Io try_shutdown() noexcept override {
    if (closed_) return -EBADF;
    shut_ = true;
    state_.end(index_);
    return 0;
  }

  bool may(Want want) noexcept override {
    if (!can(want) || budget_ == 0) return false;
    --budget_;
    return true;
  }
  void wait(Want want, Waiter& waiter) noexcept override {
    Waiter*& place = waiters_[static_cast<std::size_t>(want)];
    assert((place == nullptr || place == &waiter) && "one waits for each direction");
    place = &waiter;
    if (can(want)) wake();
  }
  Waiter* unwait(Want want) noexcept override {
    return std::exchange(waiters_[static_cast<std::size_t>(want)], nullptr);
  }
  void tear() noexcept override { torn_ = true; }
  void idle_timeout(AnyDuration limit) override {
    timed_out_ = false;
    limit_ = limit;
    if (idle_ == nullptr) {
      idle_ = std::make_unique<Event>(state_.base, -1, Events::timeout, [this] { note_silence(); });
    }
    if (limit_ > Duration::zero() && !closed_) {
      idle_->rearm(limit_);
    } else {
      idle_->detach();
    }
  }
  void close() noexcept override {
    if (std::exchange(closed_, true)) return;
    state_.end(index_);
    Direction& incoming = state_.directions[static_cast<std::size_t>(1 - index_)];
    incoming.dropped = true;
    incoming.bytes.clear();
    incoming.coming.clear();
    incoming.arrived = 0;
    if (idle_ != nullptr) idle_->detach();
    turn_.detach();
    state_.wake_all();
    drop_waiters();  // comes last: it may destroy this
  }
  void reset() noexcept override {
    if (closed_) return;
    if (!state_.broken()) {
      state_.left = 0;
      state_.error = std::make_error_code(std::errc::connection_reset);
    }
    close();
  }
  Base& base() const noexcept override { return state_.base; }

  void wake() noexcept {
    if (waiters_[0] != nullptr || waiters_[1] != nullptr) turn_.activate(Events::timeout);
  }

 private:
  void drop_waiters() noexcept {
    detail::drop_waiters(
        [this](Want want) { return unwait(want); },
        [this](Want want, Waiter& waiter) { waiters_[static_cast<std::size_t>(want)] = &waiter; });
  }
  bool can(Want want) const noexcept {
    if (closed_ || timed_out_) return true;
    return want == Want::read ? state_.may_read(index_)
                              : shut_ || torn_ || state_.may_write(index_);
  }
  Io moved(Io io) noexcept {
    if (io > 0 && limit_ > Duration::zero()) {
      has_moved_ = true;
      static_cast<void>(idle_->try_rearm(limit_));
    }
    return io;
  }
  bool is_due(Want want) const noexcept {
    return waiters_[static_cast<std::size_t>(want)] != nullptr && can(want);
  }
  // As of a SocketStream: other callbacks may have taken longer than the limit.
  void note_silence() noexcept {
    if (has_moved_ && (is_due(Want::read) || is_due(Want::write))) {
      static_cast<void>(idle_->try_rearm(limit_));
    } else {
      timed_out_ = true;
      wake();
    }
  }
  // Nothing is touched after a waiter was called: this may be gone.
  void on() {
    budget_ = kBudget;
    has_moved_ = false;
    Waiter* const reader = is_due(Want::read) ? waiters_[0] : nullptr;
    Waiter* const writer = is_due(Want::write) ? waiters_[1] : nullptr;
    if (reader != nullptr) {
      if (writer != nullptr) turn_.activate(Events::timeout);
      if (writer != nullptr && std::exchange(writer_first_, !writer_first_)) return writer->ready();
      reader->ready();
    } else if (writer != nullptr) {
      writer->ready();
    }
  }

  static constexpr int kBudget = 7;

  State& state_;
  const int index_;
  Event turn_;
  std::array<Waiter*, 2> waiters_{};
  std::unique_ptr<Event> idle_;
  Duration limit_{};
  int budget_ = kBudget;
  bool closed_ = false;
  bool shut_ = false;
  bool torn_ = false;
  bool timed_out_ = false;
  bool has_moved_ = false;     // bytes, since its last turn
  bool writer_first_ = false;  // of two that are due
};

Memory::State::State(Base& its_base, std::size_t its_room)
    : base(its_base),
      room(std::max<std::size_t>(its_room, 1)),
      arrivals(its_base, -1, Events::timeout, [this] { receive(); }) {
  ends[0] = std::make_unique<End>(*this, 0);
  ends[1] = std::make_unique<End>(*this, 1);
}

Memory::State::~State() {
  for (const auto& end : ends) end->close();
}

Io Memory::State::error_io() const noexcept {
  if (error.category() == event_cpp::category()) return to_io(static_cast<Errc>(error.value()));
  return error.value() > 0 ? -error.value() : -ECONNRESET;
}

Io Memory::State::read(int end, Room to) noexcept {
  Direction& direction = directions[static_cast<std::size_t>(1 - end)];
  const std::size_t size = std::min({to.size(), direction.arrived, most});
  if (size == 0) {
    if (broken()) return error_io();
    return direction.end_arrived ? 0 : kWouldBlock;
  }
  std::memcpy(to.data(), direction.bytes.data(), size);
  direction.bytes.erase(0, size);
  direction.arrived -= size;
  wake_all();
  return static_cast<Io>(size);
}

Io Memory::State::write(int end, Bytes bytes) noexcept {
  Direction& direction = directions[static_cast<std::size_t>(end)];
  if (broken()) return error_io();
  if (direction.dropped) return -EPIPE;
  if (bytes.empty()) return 0;
  const std::size_t free = room - std::min(room, direction.bytes.size());
  const std::size_t size = std::min({bytes.size(), free, most, left});
  if (size == 0) return kWouldBlock;
  const TimePoint time = arrival(direction);
  const bool comes_later = time > base.now();
  const std::size_t before = direction.bytes.size();
  try {
    direction.bytes.append(bytes.data(), size);
    if (comes_later) direction.coming.push_back({time, size});
  } catch (const std::bad_alloc&) {
    direction.bytes.resize(before);
    return -ENOMEM;
  }
  if (comes_later) {
    expect(time);
  } else {
    direction.arrived += size;
  }
  if (left != kUnlimited) left -= size;
  wake_all();
  return static_cast<Io>(size);
}

void Memory::State::end(int from) noexcept {
  Direction& direction = directions[static_cast<std::size_t>(from)];
  if (std::exchange(direction.ended, true)) return;
  direction.end = arrival(direction);
  direction.end_arrived = direction.end <= base.now() && direction.coming.empty();
  if (!direction.end_arrived) expect(direction.end);
  wake_all();
}

// When what is sent now arrives: not before what was sent earlier.
TimePoint Memory::State::arrival(const Direction& direction) const noexcept {
  const TimePoint time = event_cpp::detail::later(base.now(), std::max(latency, Duration::zero()));
  return direction.coming.empty() ? time : std::max(time, direction.coming.back().time);
}

void Memory::State::expect(TimePoint time) noexcept {
  if (!arrivals.attached() || arrivals.deadline().value_or(TimePoint::max()) > time) {
    static_cast<void>(arrivals.try_rearm_at(time));
  }
}

void Memory::State::receive() noexcept {
  const TimePoint now = base.now();
  for (Direction& direction : directions) {
    while (!direction.coming.empty() && direction.coming.front().time <= now) {
      direction.arrived += direction.coming.front().bytes;
      direction.coming.pop_front();
    }
    if (!direction.coming.empty()) expect(direction.coming.front().time);
    if (direction.ended && !direction.end_arrived) {
      if (direction.end <= now && direction.coming.empty()) {
        direction.end_arrived = true;
      } else {
        expect(direction.end);
      }
    }
  }
  wake_all();
}

void Memory::State::wake_all() noexcept {
  for (const auto& end : ends) {
    if (end != nullptr) end->wake();
  }
}

Memory::Memory(Base& base, std::size_t room) : state_(std::make_unique<State>(base, room)) {}
Memory::~Memory() = default;

Stream& Memory::a() noexcept { return *state_->ends[0]; }
Stream& Memory::b() noexcept { return *state_->ends[1]; }

void Memory::at_most(std::size_t bytes_a_call) noexcept {
  state_->most = std::max<std::size_t>(bytes_a_call, 1);
}

void Memory::delay(AnyDuration time) noexcept { state_->latency = time; }

void Memory::break_after(std::size_t bytes, std::error_code error) noexcept {
  if (state_->broken()) return;
  state_->left = bytes;
  state_->error = error;
  if (bytes == 0) state_->wake_all();
}

}  // namespace event_cpp::net

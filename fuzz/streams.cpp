// Streams over net::Memory, with tasks that read and write, are cancelled and destroyed.
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>

#include "event/net.hpp"
#include "support/seeded_random.hpp"
#include "targets.hpp"

namespace event_cpp::fuzz {
namespace {

using namespace std::chrono_literals;
using test::Random;

// What one end sends to the other: bytes that tell their places.
struct Direction {
  std::size_t sent = 0;     // taken for certain
  std::size_t offered = 0;  // beyond that: by a write that is under way, or has ended early
  std::size_t received = 0;
  bool ended = false;         // by its writer
  bool interrupted = false;   // a write was given up, maybe half-way
  bool unknown = false;       // a read was destroyed that may have taken bytes
  bool end_received = false;  // or an error: nothing more comes
};

struct End {
  std::optional<co::TaskGroup> reader, writer;
  bool reading = false, writing = false;
  bool reads_exactly = false;
  bool closed = false;
  bool may_time_out = false;
};

// Reads and writes by chance, and compares what arrives with what was sent: in order, each byte
// once, and then the end or an error that something has caused.
class StreamScript {
 public:
  explicit StreamScript(Random& random)
      : random_(random), base_(options(time_)), memory_(base_, 1 + random.below(100)) {}

  void step() {
    const int end = static_cast<int>(random_.below(2));
    switch (random_.below(12)) {
      case 0:
      case 1:
        return start_reading(end, random_.below(3), 1 + random_.below(60));
      case 2:
      case 3:
        return start_writing(end, 1 + random_.below(200), random_.one_in(2));
      case 4:
        if (random_.one_in(2)) return cancel(ends_[index(end)].reader);
        return cancel(ends_[index(end)].writer);
      case 5:
        return random_.one_in(2) ? destroy_reader(end) : destroy_writer(end);
      case 6:
        time_.advance(random_.below(4) * 1ms);
        break;
      case 7:
        memory_.at_most(1 + random_.below(50));
        memory_.delay(random_.below(4) * 1ms);
        return;
      case 8:
        return try_at_once(end);
      case 9:
        ends_[index(end)].may_time_out = true;
        return stream(end).idle_timeout(random_.below(4) * 1ms);
      case 10:
        return spoil(end, random_.below(8));
      default:
        break;
    }
    base_.loop(RunMode::nonblock);
  }

  // What can still arrive does, whatever has happened; then all tasks end.
  void finish() {
    memory_.delay(Duration::zero());
    for (int end = 0; end < 2; ++end) stream(end).idle_timeout(Duration::zero());
    constexpr int kMost = 5000;
    for (int i = 0; i < kMost && !is_over(); ++i) {
      for (int end = 0; end < 2; ++end) {
        End& its = ends_[index(end)];
        if (!its.writing && !its.closed) shut(end);
        if (!its.reading && !its.closed && !from(end).end_received) start_reading(end, 0, 60);
      }
      time_.advance(1ms);
      base_.loop(RunMode::nonblock);
    }
    EXPECT_TRUE(is_over());
    for (int end = 0; end < 2; ++end) stream(end).close();
    for (int i = 0; i < 10; ++i) base_.loop(RunMode::nonblock);
    for (const End& end : ends_) EXPECT_FALSE(end.reading || end.writing);
  }

 private:
  static Options options(ManualTime& time) {
    Options chosen;
    chosen.backend = Backend::none;
    chosen.time = &time;
    return chosen;
  }
  static std::size_t index(int end) noexcept { return static_cast<std::size_t>(end); }
  static char byte_at(int end, std::size_t place) noexcept {
    return static_cast<char>((place + 100 * index(end)) % 251);
  }
  net::Stream& stream(int end) { return end == 0 ? memory_.a() : memory_.b(); }
  Direction& to(int end) { return directions_[index(end)]; }
  Direction& from(int end) { return directions_[index(1 - end)]; }

  // No task waits, and everything has arrived that somebody can receive.
  bool is_over() {
    bool over = true;
    for (int end = 0; end < 2; ++end) {
      const End& its = ends_[index(end)];
      over = over && !its.reading && !its.writing && (its.closed || from(end).end_received);
    }
    return over;
  }

  void start_reading(int end, std::size_t kind, std::size_t size) {
    End& its = ends_[index(end)];
    if (its.reading) return;
    its.reading = true;
    its.reads_exactly = kind == 2;
    its.reader.emplace(base_);
    its.reader->spawn(read(end, kind, size));
  }

  co::Task<> read(int end, std::size_t kind, std::size_t size) {
    net::Stream& its = stream(end);
    std::string room(size, '\0');
    if (kind == 0) {
      const auto got = co_await its.try_read_some(room);
      has_read(end, std::string_view(room).substr(0, got.value), got.error);
    } else if (kind == 1) {
      const auto got = co_await its.try_receive();
      has_read(end, got.value.text(), got.error);
    } else {
      const auto got = co_await its.try_read_exactly(room);
      if (got.value > 0) check_bytes(end, std::string_view(room).substr(0, got.value));
      if (got.error) has_read(end, {}, got.error);
    }
    ends_[index(end)].reading = false;
  }

  void start_writing(int end, std::size_t size, bool in_pieces) {
    End& its = ends_[index(end)];
    if (its.writing) return;
    its.writing = true;
    to(end).offered = std::max(to(end).offered, size);
    its.writer.emplace(base_);
    its.writer->spawn(write(end, size, in_pieces));
  }

  co::Task<> write(int end, std::size_t size, bool in_pieces) {
    net::Stream& its = stream(end);
    const std::string bytes = next_bytes(end, size);
    const std::string_view text = bytes;
    const std::array<net::Bytes, 3> pieces{text.substr(0, size / 3), "", text.substr(size / 3)};
    std::error_code error;
    if (in_pieces) {
      error = co_await its.try_write_all(std::span<const net::Bytes>(pieces));
    } else {
      error = co_await its.try_write_all(text);
    }
    ends_[index(end)].writing = false;
    has_written(end, error ? 0 : size, error);
  }

  std::string next_bytes(int end, std::size_t size) {
    std::string bytes(size, '\0');
    for (std::size_t i = 0; i < size; ++i) bytes[i] = byte_at(end, to(end).sent + i);
    return bytes;
  }

  // What the last write of this end has sent; after an error perhaps less than was offered.
  void has_written(int end, std::size_t size, std::error_code error) {
    Direction& out = to(end);
    End& its = ends_[index(end)];
    if (!error) {
      out.sent += size;
      out.offered = 0;
      return;
    }
    out.interrupted = true;
    const bool shut = out.ended || ends_[index(1 - end)].closed;
    EXPECT_TRUE(is_explained(its, error) || (error == Errc::torn && out.interrupted) ||
                (error == std::errc::broken_pipe && shut))
        << error.message();
  }

  void has_read(int end, std::string_view bytes, std::error_code error) {
    Direction& in = from(end);
    const End& its = ends_[index(end)];
    if (!bytes.empty()) return check_bytes(end, bytes);
    if (!error || error == Errc::truncated) {
      in.end_received = true;
      EXPECT_TRUE(in.ended);
      EXPECT_TRUE(in.unknown || in.received >= in.sent) << in.received << " of " << in.sent;
      return;
    }
    EXPECT_TRUE(is_explained(its, error)) << error.message();
    if (error == std::errc::network_down || error == std::errc::connection_reset) {
      in.end_received = true;
    }
  }

  bool is_explained(const End& end, std::error_code error) const {
    if (error == std::errc::operation_canceled) return cancels_ > 0 || end.closed;
    if (error == std::errc::bad_file_descriptor) return end.closed;
    if (error == std::errc::timed_out) return end.may_time_out;
    if (error == std::errc::network_down) return broken_;
    return error == std::errc::connection_reset && reset_;
  }

  void check_bytes(int end, std::string_view bytes) {
    Direction& in = from(end);
    if (in.unknown) return;
    for (const char byte : bytes) {
      ASSERT_EQ(byte, byte_at(1 - end, in.received)) << "at " << in.received;
      ++in.received;
    }
    EXPECT_LE(in.received, in.sent + in.offered);
  }

  void cancel(std::optional<co::TaskGroup>& group) {
    ++cancels_;
    if (group) group->cancel();
  }

  void destroy_reader(int end) {
    End& its = ends_[index(end)];
    its.reader.reset();
    if (std::exchange(its.reading, false) && its.reads_exactly) from(end).unknown = true;
  }

  void destroy_writer(int end) {
    End& its = ends_[index(end)];
    its.writer.reset();
    if (std::exchange(its.writing, false)) to(end).interrupted = true;
  }

  void try_at_once(int end) {
    End& its = ends_[index(end)];
    if (!its.reading) {
      std::array<char, 20> room{};
      const net::Io io = stream(end).try_read(room);
      if (io >= 0) {
        has_read(end, {room.data(), static_cast<std::size_t>(io)}, {});
      } else if (io != net::kWouldBlock) {
        has_read(end, {}, net::to_error(io));
      }
    }
    if (!its.writing) {
      to(end).offered = std::max(to(end).offered, std::size_t{20});
      const net::Io io = stream(end).try_write(next_bytes(end, 20));
      if (io >= 0) {
        has_written(end, static_cast<std::size_t>(io), {});
      } else if (io != net::kWouldBlock) {
        has_written(end, 0, net::to_error(io));
      }
    }
  }

  void shut(int end) {
    if (ends_[index(end)].closed) return;
    stream(end).try_shutdown();
    to(end).ended = true;
  }

  // What ends a connection, in one way or another.
  void spoil(int end, std::size_t how) {
    switch (how) {
      case 0:
        return shut(end);
      case 1:
        if (broken_ || reset_) return;  // it would be whole again
        broken_ = true;
        return memory_.break_after(random_.below(100),
                                   std::make_error_code(std::errc::network_down));
      case 2:
        stream(end).close();
        break;
      case 3:
        reset_ = true;
        stream(end).reset();
        break;
      default:
        return;
    }
    ends_[index(end)].closed = true;
    to(end).ended = true;
  }

  Random& random_;
  ManualTime time_;
  Base base_;
  net::Memory memory_;
  std::array<Direction, 2> directions_;
  int cancels_ = 0;
  bool broken_ = false;
  bool reset_ = false;
  std::array<End, 2> ends_;
};

}  // namespace

void run_streams(Bytes bytes) {
  Random random(bytes);
  StreamScript script(random);
  while (!random.used_up()) script.step();
  script.finish();
}

}  // namespace event_cpp::fuzz

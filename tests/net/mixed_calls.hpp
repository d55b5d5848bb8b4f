// MixedCalls: a random order of the calls of a Buffered, against what its peer sees.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <functional>
#include <random>
#include <string>

#include "event/net.hpp"

namespace event_cpp::test {

// One task at a time reads lines through a Buffered, another one writes and flushes; both are
// cancelled now and then. The peer reads and writes when it is its turn. Nothing may be lost, and
// once the peer has read everything, nothing may be unsent.
class MixedCalls {
 public:
  MixedCalls(Base& base, net::Stream& stream, net::Stream& peer, unsigned seed)
      : base_(base), stream_(stream), peer_(peer), random_(seed), io_(stream, limits()) {}

  std::function<void()> disturb = [] {};  // called now and then

  void run(int steps) {
    for (int i = 0; i < steps; ++i) step();
    if (below(3) == 0) {
      close_without_flush();
    } else {
      flush_and_shut_down();
    }
  }

 private:
  static net::Limits limits() {
    net::Limits chosen;
    chosen.low = 500;
    chosen.high = 2000;
    chosen.line = 30'000;
    return chosen;
  }
  std::size_t below(std::size_t n) { return random_() % n; }
  std::string some_bytes() {
    const std::size_t size = below(8) == 0 ? below(20'000) : below(100);
    return std::string(size, static_cast<char>('a' + below(26))) + "\n";
  }

  co::Task<> read_lines(std::size_t count) {
    for (std::size_t i = 0; i < count && !ended_; ++i) {
      const auto line = co_await io_.read_line();
      ended_ = !line;
      if (line) got_ += std::string(*line) + "\n";
    }
  }
  co::Task<> write(std::string bytes) {
    sent_ += bytes;  // copied even if it is cancelled
    co_await io_.write(bytes);
  }
  co::Task<> flush() { co_await io_.flush(); }
  co::Task<> shut_down() { co_await stream_.shutdown(); }
  co::Task<> close() { co_await net::drain_and_close(stream_, std::chrono::seconds(1)); }

  void peer_reads(std::size_t most) {
    std::array<char, 4096> room{};
    while (most > 0) {
      const net::Io io = peer_.try_read(net::Room(room).first(std::min(most, room.size())));
      peer_ended_ = peer_ended_ || io == 0;
      if (io <= 0) return;
      peer_got_.append(room.data(), static_cast<std::size_t>(io));
      most -= static_cast<std::size_t>(io);
    }
  }
  void peer_adds(const std::string& bytes) {
    peer_sent_ += bytes;
    peer_left_ += bytes;
  }
  void peer_writes() {
    const net::Io io = peer_.try_write(peer_left_);
    if (io > 0) peer_left_.erase(0, static_cast<std::size_t>(io));
  }

  void step() {
    switch (below(10)) {
      case 0: {
        const std::string bytes = some_bytes();
        sent_ += bytes;
        io_.put(bytes);
        break;
      }
      case 1:
        if (writer_.size() == 0) writer_.spawn(write(some_bytes()));
        break;
      case 2:
        if (writer_.size() == 0) writer_.spawn(flush());
        break;
      case 3:
        if (reader_.size() == 0) reader_.spawn(read_lines(1 + below(400)));
        break;
      case 4: {
        auto& tasks = below(2) == 0 ? reader_ : writer_;
        if (tasks.size() == 0) break;
        tasks.cancel();
        while (tasks.size() > 0) base_.loop(RunMode::nonblock);
        co::run(base_, [&]() -> co::Task<> { co_await tasks.join(); }());
        break;
      }
      case 5:
        peer_reads(below(30'000));
        break;
      case 6:
        peer_adds(some_bytes());
        if (below(8) == 0) peer_adds(std::string(below(1000), '\n'));
        peer_writes();
        break;
      case 7:
        disturb();
        break;
      default:
        base_.loop(RunMode::nonblock);
    }
  }

  template <class F>
  bool go_on_until(F done) {
    for (int i = 0; i < 100'000 && !done(); ++i) {
      peer_reads(static_cast<std::size_t>(-1));
      base_.loop(RunMode::nonblock);
    }
    return done();
  }

  void flush_and_shut_down() {
    ASSERT_TRUE(go_on_until([&] { return io_.unsent() == 0 && writer_.size() == 0; }))
        << io_.unsent() << " bytes are unsent";
    writer_.spawn(flush());
    ASSERT_TRUE(go_on_until([&] { return writer_.size() == 0; }));
    writer_.spawn(shut_down());
    ASSERT_TRUE(go_on_until([&] { return writer_.size() == 0 && peer_ended_; }));
    EXPECT_TRUE(peer_got_ == sent_);
    ASSERT_TRUE(go_on_until([&] {
      peer_writes();
      if (reader_.size() == 0) reader_.spawn(read_lines(1000));
      return peer_left_.empty() && peer_.try_shutdown() == 0;
    }));
    ASSERT_TRUE(go_on_until([&] {
      if (reader_.size() == 0) reader_.spawn(read_lines(1000));
      return ended_;
    }));
    EXPECT_TRUE(got_ == peer_sent_);
  }
  // What comes is the beginning of what was sent.
  void close_without_flush() {
    reader_.cancel();
    while (reader_.size() > 0) base_.loop(RunMode::nonblock);
    co::TaskGroup closer(base_);
    closer.spawn(close());
    ASSERT_TRUE(go_on_until([&] { return peer_ended_; }));
    peer_.close();
    ASSERT_TRUE(go_on_until([&] { return closer.size() == 0 && writer_.size() == 0; }));
    EXPECT_TRUE(sent_.starts_with(peer_got_));
  }

  Base& base_;
  net::Stream& stream_;
  net::Stream& peer_;
  std::mt19937 random_;
  net::Buffered io_;
  std::string sent_;
  std::string got_;
  std::string peer_got_;
  std::string peer_sent_;
  std::string peer_left_;  // of peer_sent_: what the peer has still to write
  bool ended_ = false;
  bool peer_ended_ = false;
  co::TaskGroup reader_{base_};
  co::TaskGroup writer_{base_, [](const std::exception_ptr&) {}};
};

}  // namespace event_cpp::test

// A stream that belongs to somebody else.
#pragma once

#include <memory>
#include <span>
#include <utility>

#include "event/net/stream.hpp"

namespace event_cpp::test {

// Passes all calls on, and closes the other one at its end. Keeps `owner` alive meanwhile.
class BorrowedStream : public net::Stream {
 public:
  explicit BorrowedStream(net::Stream& stream, std::shared_ptr<void> owner = nullptr) noexcept
      : owner_(std::move(owner)), stream_(stream) {}
  ~BorrowedStream() override { stream_.close(); }

  net::Io try_read(net::Room room) noexcept override { return stream_.try_read(room); }
  net::Io try_write(net::Bytes bytes) noexcept override { return stream_.try_write(bytes); }
  net::Io try_write(std::span<const net::Bytes> pieces) noexcept override {
    return stream_.try_write(pieces);
  }
  net::Io try_shutdown() noexcept override { return stream_.try_shutdown(); }
  void wait(net::Want want, net::Waiter& waiter) noexcept override { stream_.wait(want, waiter); }
  net::Waiter* unwait(net::Want want) noexcept override { return stream_.unwait(want); }
  bool may(net::Want want) noexcept override { return stream_.may(want); }
  void tear() noexcept override { stream_.tear(); }
  void idle_timeout(AnyDuration limit) override { stream_.idle_timeout(limit); }
  void close() noexcept override { stream_.close(); }
  void reset() noexcept override { stream_.reset(); }
  Base& base() const noexcept override { return stream_.base(); }

 private:
  std::shared_ptr<void> owner_;
  net::Stream& stream_;
};

}  // namespace event_cpp::test

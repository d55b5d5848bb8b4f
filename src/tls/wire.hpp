// Wire: encrypted bytes between OpenSSL and the stream below.
#pragma once

#include <cstddef>
#include <cstdint>

#include "event/net/stream.hpp"
#include "tls/openssl.hpp"

namespace event_cpp::tls::detail {

class Connection;

// A buffer in each direction, lent by the thread while there is something in it. OpenSSL reads and
// writes them through a BIO. What comes is read as much as fits, and OpenSSL takes it record by
// record until nothing is left: it keeps what is incomplete. What goes out is collected in whole
// records, and sent at the end of a step.
//
// A base class of Connection.
class Wire {
 public:
  // What a record adds to its text at most: a header, an explicit nonce, a MAC, and padding.
  static constexpr std::size_t kOverhead = 88;
  static constexpr std::size_t kText = SSL3_RT_MAX_PLAIN_LENGTH;
  // Four of these with what TLS 1.3 adds, 22 bytes each, are what TCP hands on in one piece: 65,483
  // bytes on the loopback device, 65,160 with an MTU of 1,500.
  static constexpr std::size_t kLongText = 16'160;
  // For what OpenSSL sends by itself while data waits: alerts, and answers to new keys of the peer.
  static constexpr std::size_t kReserve = 672;
  static_assert(net::detail::kBufferCapacity == 4 * (kText + kOverhead) + kReserve);

  Wire() = default;
  Wire(const Wire&) = delete;
  Wire& operator=(const Wire&) = delete;

  // Makes the BIO and gives it to `ssl`. This must outlive it. Errors: throws std::bad_alloc.
  void connect(SSL* ssl);
  // Of the Wire that `ssl` has; null: it has none. This costs no memory, unlike data of an SSL that
  // a program adds.
  static Connection* owner_of(const SSL* ssl) noexcept;

  // A step: OpenSSL may take what has come, and read so much again at most.
  void begin_step() noexcept {
    step_ = kStep;
    input_error_ = static_cast<int>(net::kWouldBlock);
  }
  // OpenSSL gets nothing more, whatever has come.
  void stop() noexcept { stopped_ = true; }
  bool has_input() const noexcept { return begin_ < end_; }
  // Why OpenSSL got nothing more in this step: an error of the stream below, or it would block.
  net::Io input_error() const noexcept { return input_error_; }
  // The stream below has ended.
  bool ended() const noexcept { return ended_; }

  // Takes a buffer for what goes out. Returns false without memory.
  bool prepare() noexcept {
    if (out_ == nullptr) out_ = net::detail::try_take_buffer();
    return out_ != nullptr;
  }
  std::size_t unsent() const noexcept { return written_ - sent_; }
  // Whether there is room for a record with so much text, and for the reserve.
  bool fits(std::size_t text) const noexcept {
    return net::detail::kBufferCapacity - written_ >= text + kOverhead + kReserve;
  }
  // Whether the reserve has not been used.
  bool has_reserve() const noexcept { return net::detail::kBufferCapacity - written_ >= kReserve; }
  // Sends. Returns 0 if nothing is unsent, else an error.
  net::Io flush() noexcept;
  void drop_output() noexcept;

 protected:
  ~Wire();

 private:
  static constexpr std::uint32_t kStep = net::detail::kBufferSize;

  struct Calls;
  static const BIO_METHOD* method();
  bool read(char* to, std::size_t size, std::size_t& got) noexcept;
  bool write(const char* from, std::size_t size) noexcept;
  bool fill() noexcept;
  Connection& owner() noexcept;
  net::Stream& below() noexcept;

  char* in_ = nullptr;
  char* out_ = nullptr;
  int input_error_ = net::kWouldBlock;  // an Io
  std::uint32_t begin_ = 0;             // of in_
  std::uint32_t end_ = 0;
  std::uint32_t sent_ = 0;  // of out_
  std::uint32_t written_ = 0;
  std::uint32_t step_ = 0;  // bytes that may still be read in this step
  bool ended_ = false;
  bool stopped_ = false;
};

}  // namespace event_cpp::tls::detail

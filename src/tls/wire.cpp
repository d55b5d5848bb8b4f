#include "tls/wire.hpp"

#include <algorithm>
#include <cstring>
#include <utility>

#include "tls/connection.hpp"

namespace event_cpp::tls::detail {

using net::detail::give_back_buffer;
using net::detail::kBufferCapacity;
using net::detail::try_take_buffer;

// What OpenSSL calls.
struct Wire::Calls {
  static Wire& of(BIO* bio) noexcept { return *static_cast<Wire*>(BIO_get_data(bio)); }

  static int read(BIO* bio, char* to, std::size_t size, std::size_t* got) {
    BIO_clear_retry_flags(bio);
    if (of(bio).read(to, size, *got)) return 1;
    // Also at the end, so that OpenSSL can go on sending.
    BIO_set_retry_read(bio);
    return -1;
  }
  static int write(BIO* bio, const char* from, std::size_t size, std::size_t* written) {
    BIO_clear_retry_flags(bio);
    if (of(bio).write(from, size)) {
      *written = size;
      return 1;
    }
    BIO_set_retry_write(bio);
    return -1;
  }
  static long control(BIO* /*bio*/, int command, long /*number*/, void* /*data*/) {
    return command == BIO_CTRL_FLUSH ? 1 : 0;
  }
};

// Made once, and never freed: OpenSSL may be used until the program ends.
const BIO_METHOD* Wire::method() {
  static const BIO_METHOD* const instance = [] {
    BIO_METHOD* const made = or_bad_alloc(
        BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "event::net::Stream"));
    BIO_meth_set_read_ex(made, &Calls::read);
    BIO_meth_set_write_ex(made, &Calls::write);
    BIO_meth_set_ctrl(made, &Calls::control);
    return made;
  }();
  return instance;
}

void Wire::connect(SSL* ssl) {
  BIO* const bio = or_bad_alloc(BIO_new(method()));
  BIO_set_data(bio, this);
  BIO_set_init(bio, 1);
  SSL_set_bio(ssl, bio, bio);
}

Connection* Wire::owner_of(const SSL* ssl) noexcept {
  BIO* const bio = SSL_get_rbio(ssl);
  return bio != nullptr ? &Calls::of(bio).owner() : nullptr;
}

Connection& Wire::owner() noexcept { return static_cast<Connection&>(*this); }
net::Stream& Wire::below() noexcept { return owner().below(); }

Wire::~Wire() {
  if (in_ != nullptr) give_back_buffer(in_);
  drop_output();
}

bool Wire::read(char* to, std::size_t size, std::size_t& got) noexcept {
  if (stopped_ || (begin_ == end_ && !fill())) return false;
  got = std::min<std::size_t>(size, end_ - begin_);
  std::memcpy(to, in_ + begin_, got);
  begin_ += static_cast<std::uint32_t>(got);
  if (begin_ == end_) {
    give_back_buffer(std::exchange(in_, nullptr));
    begin_ = end_ = 0;
  }
  return true;
}

// The first read of a step is tried in any case, more only if there is more.
bool Wire::fill() noexcept {
  if (ended_ || step_ == 0 || (step_ < kStep && !below().may(net::Want::read))) return false;
  char* const buffer = try_take_buffer();
  if (buffer == nullptr) {
    input_error_ = -ENOMEM;
    return false;
  }
  const net::Io io = below().try_read({buffer, kBufferCapacity});
  if (io > 0) {
    in_ = buffer;
    begin_ = 0;
    end_ = static_cast<std::uint32_t>(io);
    step_ -= std::min(step_, end_);
    return true;
  }
  give_back_buffer(buffer);
  step_ = 0;
  ended_ = io == 0;
  if (io < 0) input_error_ = static_cast<int>(io);
  return false;
}

bool Wire::write(const char* from, std::size_t size) noexcept {
  if (size > kBufferCapacity - written_ || !prepare()) return false;
  std::memcpy(out_ + written_, from, size);
  written_ += static_cast<std::uint32_t>(size);
  return true;
}

net::Io Wire::flush() noexcept {
  while (sent_ < written_) {
    const net::Io io = below().try_write(net::Bytes(out_ + sent_, written_ - sent_));
    if (io < 0) return io;
    sent_ += static_cast<std::uint32_t>(io);
    if (sent_ < written_ && !below().may(net::Want::write)) return net::kWouldBlock;
  }
  drop_output();
  return 0;
}

void Wire::drop_output() noexcept {
  if (out_ != nullptr) give_back_buffer(std::exchange(out_, nullptr));
  sent_ = written_ = 0;
}

}  // namespace event_cpp::tls::detail

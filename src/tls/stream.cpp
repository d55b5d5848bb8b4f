#include "event/tls/stream.hpp"

#include <openssl/err.h>

#include <cassert>
#include <utility>

#include "event/net/transfer.hpp"
#include "tls/connection.hpp"

namespace event_cpp::tls {
namespace detail {

StreamBase::StreamBase(std::unique_ptr<Connection> connection) noexcept
    : connection_(std::move(connection)) {}
StreamBase::StreamBase(StreamBase&& other) noexcept
    : lenient_end(other.lenient_end), connection_(std::move(other.connection_)) {
  assert((connection_ == nullptr || !connection_->is_awaited()) && "moved while something waits");
}
StreamBase::~StreamBase() = default;

net::Io StreamBase::try_read(net::Room room) noexcept {
  return connection_->read(room, lenient_end);
}
net::Io StreamBase::try_write(net::Bytes bytes) noexcept { return connection_->write(bytes); }
net::Io StreamBase::try_write(std::span<const net::Bytes> pieces) noexcept {
  return connection_->write(pieces);
}
net::Io StreamBase::try_shutdown() noexcept { return connection_->shutdown(); }
void StreamBase::wait(net::Want want, net::Waiter& waiter) noexcept {
  connection_->wait(want, waiter);
}
net::Waiter* StreamBase::unwait(net::Want want) noexcept { return connection_->unwait(want); }
bool StreamBase::may(net::Want want) noexcept { return connection_->may(want); }
void StreamBase::tear() noexcept { connection_->tear(); }
void StreamBase::idle_timeout(AnyDuration limit) { connection_->idle_timeout(limit); }
void StreamBase::close() noexcept { connection_->close(); }
void StreamBase::reset() noexcept { connection_->reset(); }
Base& StreamBase::base() const noexcept { return connection_->below().base(); }

void StreamBase::throw_error(net::Io error, const char* what) const {
  if (net::to_error(error).category() == category()) throw connection_->error(error);
  net::detail::throw_io(error, what);
}

}  // namespace detail

Stream::Stream(std::unique_ptr<detail::Connection> connection) noexcept
    : StreamBase(std::move(connection)) {}
Stream::Stream(Stream&& other) noexcept = default;
Stream::~Stream() = default;

const Peer& Stream::peer() const { return connection().peer(); }

std::size_t Stream::pending() const noexcept {
  return static_cast<std::size_t>(SSL_pending(connection().ssl()));
}

net::Stream& Stream::below() noexcept { return connection().below(); }
std::string_view Stream::why() const noexcept { return connection().why(); }

co::Task<> Stream::close(AnyDuration limit) { return net::drain_and_close(*this, limit); }

void Stream::update_keys(bool both) { connection().update_keys(both); }

std::string Stream::exporter(std::string_view label, std::size_t size, std::string_view context) {
  std::string bytes(size, '\0');
  ERR_clear_error();
  const int done = SSL_export_keying_material(
      connection().ssl(), reinterpret_cast<unsigned char*>(bytes.data()), size, label.data(),
      label.size(), reinterpret_cast<const unsigned char*>(context.data()), context.size(), 1);
  if (done != 1) detail::throw_openssl(Errc::internal, "exporter");
  return bytes;
}

Session Stream::session() const { return connection().session(); }

}  // namespace event_cpp::tls

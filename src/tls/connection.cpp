#include "tls/connection.hpp"

#include <unistd.h>

#include <algorithm>
#include <cassert>
#include <cstring>
#include <utility>

#include "net/drop_waiters.hpp"
#include "tls/callbacks.hpp"

namespace event_cpp::tls::detail {

using net::Io;
using net::kWouldBlock;
using net::Want;

namespace {

// As an Io, of the category of this library.
Io to_io(const std::error_code& code) noexcept {
  static const Io base = net::register_errors(category());
  if (code.category() == category()) return -(base + code.value());
  return -code.value();
}

constexpr std::size_t kMiB = std::size_t{1} << 20;
constexpr std::int8_t kNoKeys = SSL_KEY_UPDATE_NONE;

template <Want kWant>
constexpr auto kIndex = static_cast<std::size_t>(kWant);

}  // namespace

Connection::Connection(std::unique_ptr<net::Stream> below,
                       std::shared_ptr<const ContextState> context, const Limits& limits)
    : below_(std::move(below)),
      context_(std::move(context)),
      ssl_(context_->make_ssl()),
      turn_(below_->base(), -1, Events::none, [this] { wake(); }),
      messages_left_(std::max(limits.updates, 0)),
      most_messages_(messages_left_),
      process_(::getpid()) {
  wire().connect(ssl_.get());
}

Connection::~Connection() {
  close();
  drop_waiters();  // who has come since it was closed
}

// Steps.

// What is left is sent in the loop. Whoever waits until all is sent is woken, since the caller may
// be other code.
void Connection::flush() noexcept {
  const Io io = wire().flush();
  if (io == kWouldBlock) return writer().wait();
  const bool waited = writer().unwait();
  if (io != 0) {
    write_failed_ = static_cast<int>(io);
    if (io != -ETIMEDOUT) wire().drop_output();  // an idle timeout may be lifted
  }
  if (waited || io != 0) wake_later();
}

void Connection::wake_later() noexcept {
  if (reader().above != nullptr || writer().above != nullptr) turn_.activate(Events::timeout);
}

const Fault& Connection::fault() const noexcept {
  static const Fault none;
  return failure_ != nullptr ? *failure_ : none;
}

Io Connection::fail(Failure failure) noexcept {
  failure_ = std::move(failure.details);
  failed_ = static_cast<int>(to_io(failure.code));
  return failed_;
}

// What a call of OpenSSL that did not succeed means for who reads, or shakes hands.
Io Connection::outcome(int result) noexcept {
  if (messages_left_ < 0) return fail(make_failure(Errc::too_many_updates, peer_name()));
  read_wants_write_ = false;
  switch (SSL_get_error(ssl_.get(), result)) {
    case SSL_ERROR_WANT_READ:
      if (wire().ended()) return net::to_io(event_cpp::Errc::truncated);
      return wire().input_error();
    case SSL_ERROR_WANT_WRITE:
      if (write_failed_ != 0) return write_failed_;
      if (wire().unsent() == 0) return -ENOMEM;
      read_wants_write_ = true;
      return kWouldBlock;
    case SSL_ERROR_ZERO_RETURN:
      ended_ = true;
      return 0;
    default:
      return fail(failure_of(ssl_.get(), peer_name(), fault(), refused_name_));
  }
}

Io Connection::handshake() noexcept {
  clear_errors();
  wire().begin_step();
  const int result = SSL_do_handshake(ssl_.get());
  Io io = result == 1 ? 0 : outcome(result);
  flush();
  // The peer may say goodbye before it is known who it is.
  if (result != 1 && io == 0) io = net::to_io(event_cpp::Errc::truncated);
  if (result == 1) {
    established_ = true;
    server_.reset();
    count_messages(ssl_.get());
  }
  // What the peer has sent before it left says more than that it has left.
  return io == kWouldBlock && write_failed_ != 0 ? write_failed_ : io;
}

Io Connection::read(net::Room room, bool lenient_end) noexcept {
  if (closed_) return -EBADF;
  if (failed_ != 0) return failed_;
  // What was decrypted before is not to be had either.
  if (has_idle_timeout_ && below_->try_read(net::Room()) == -ETIMEDOUT) return -ETIMEDOUT;
  if (room.empty() || ended_) return 0;
  if (!wire().has_reserve()) {
    flush();
    read_wants_write_ = !wire().has_reserve();
    if (read_wants_write_) return write_failed_ != 0 ? write_failed_ : kWouldBlock;
  }
  read_wants_write_ = false;
  wire().begin_step();
  std::size_t total = 0;
  int result = 0;
  Io io = 0;
  do {
    clear_errors();
    std::size_t size = 0;
    result = SSL_read_ex(ssl_.get(), room.data() + total, room.size() - total, &size);
    if (result == 1) total += size;
  } while (result == 1 && total < room.size() && wire().has_input());
  if (result != 1) io = outcome(result);
  if (wire().unsent() > 0) flush();
  if (write_wants_read_ && SSL_in_init(ssl_.get()) == 0) {
    write_wants_read_ = false;
    if (waiter(Want::write) != nullptr) turn_.activate(Events::timeout);
  }
  count(total);
  if (total > 0) return static_cast<Io>(total);
  return lenient_end && io == net::to_io(event_cpp::Errc::truncated) ? 0 : io;
}

// Messages are counted against so much data. Answers may still come.
void Connection::count(std::size_t received) noexcept {
  const std::size_t sum = received_ + received;
  received_ = static_cast<std::uint32_t>(sum < kMiB ? sum : 0);
  if (sum < kMiB) return;
  messages_left_ = std::max(messages_left_, most_messages_);
}

Io Connection::write(net::Bytes bytes) noexcept {
  if (closed_) return -EBADF;
  if (failed_ != 0) return failed_;
  if (torn_) return net::to_io(event_cpp::Errc::torn);
  if (shut_) return -EPIPE;
  if (write_failed_ != 0) return write_failed_;
  // Asked before anything is encrypted: that would be sent when the timeout is lifted.
  if (has_idle_timeout_ && below_->try_write(net::Bytes()) == -ETIMEDOUT) return -ETIMEDOUT;
  if (bytes.empty()) return 0;
  if (wire().unsent() > 0) flush();
  if (write_failed_ != 0) return write_failed();
  if (wire().unsent() > 0) return kWouldBlock;
  if (!wire().prepare()) return -ENOMEM;
  Io io = catch_up();
  if (io == 0) io = encrypt(bytes);
  flush();
  // What was encrypted is still to be sent after a timeout, so it counts as written.
  if (write_failed_ == 0 || (write_failed_ == -ETIMEDOUT && io > 0)) return io;
  return write_failed();
}

// Lets OpenSSL finish what it has begun besides data, and sends new keys: neither data nor a
// goodbye goes out before that. A message of the peer may have come in part, or an answer has had
// no room.
Io Connection::catch_up() noexcept {
  const bool waited = std::exchange(write_wants_read_, false);
  Io io = 0;
  while (io == 0 && (SSL_in_init(ssl_.get()) != 0 || new_keys_ != kNoKeys)) {
    clear_errors();
    wire().begin_step();
    int result = 1;
    if (SSL_in_init(ssl_.get()) == 0)
      result = SSL_key_update(ssl_.get(), std::exchange(new_keys_, kNoKeys));
    if (result == 1) result = SSL_do_handshake(ssl_.get());
    if (result != 1) io = outcome(result);
    write_wants_read_ = io == kWouldBlock && !read_wants_write_;
    // This may have read what is for the reader too.
    if (waiter(Want::read) != nullptr && can(Want::read)) turn_.activate(Events::timeout);
  }
  if (waited && !write_wants_read_) wake_later();
  return io;
}

// 64 KiB at most, so that others have their turn. TCP hands on not quite 64 KiB in one piece, and
// if more is sent at once, the small rest is a packet of its own. So of a long text each record
// takes a little less than it could, and four of them are sent at once; of 64 KiB or less, two.
Io Connection::encrypt(net::Bytes bytes) noexcept {
  const bool is_long = bytes.size() > net::detail::kBufferSize;
  const std::size_t text = is_long ? Wire::kLongText : Wire::kText;
  const std::size_t end = std::min(bytes.size(), 4 * text);
  std::size_t total = 0;
  while (total < end) {
    if (!is_long && total == 2 * text) {
      flush();
      if (write_failed_ != 0 || !wire().prepare()) break;
    }
    const std::size_t size = std::min(end - total, text);
    if (!wire().fits(size)) break;
    std::size_t written = 0;
    const int result = SSL_write_ex(ssl_.get(), bytes.data() + total, size, &written);
    if (result == 1) {
      total += written;
      continue;
    }
    if (total > 0) break;
    // If it has only to wait, then what is in the queue of errors is not its own. So the queue need
    // not be looked at before each call, which costs a hundred instructions.
    if (SSL_want(ssl_.get()) != SSL_NOTHING) clear_errors();
    return outcome(result);
  }
  return static_cast<Io>(total);
}

// Small pieces become one record.
Io Connection::write(std::span<const net::Bytes> pieces) noexcept {
  while (!pieces.empty() && pieces.front().empty()) pieces = pieces.subspan(1);
  if (pieces.empty()) return write(net::Bytes());
  char* const gathered = pieces.size() > 1 && pieces.front().size() < Wire::kText
                             ? net::detail::try_take_buffer()
                             : nullptr;
  if (gathered == nullptr) return write(pieces.front());
  std::size_t size = 0;
  for (const net::Bytes piece : pieces) {
    const std::size_t part = std::min(piece.size(), net::detail::kBufferSize - size);
    if (part > 0) std::memcpy(gathered + size, piece.data(), part);
    size += part;
    if (part < piece.size()) break;
  }
  const Io io = write(net::Bytes(gathered, size));
  net::detail::give_back_buffer(gathered);
  return io;
}

// Before the peer has left it may have said why.
Io Connection::write_failed() noexcept {
  if (ended_) return write_failed_;
  clear_errors();
  wire().begin_step();
  char first = 0;
  std::size_t size = 0;
  const int result = SSL_peek_ex(ssl_.get(), &first, 1, &size);
  const Io io = result == 1 ? 0 : outcome(result);
  if (waiter(Want::read) != nullptr) turn_.activate(Events::timeout);
  return failed_ != 0 ? io : write_failed_;
}

Io Connection::shutdown() noexcept {
  if (closed_) return -EBADF;
  if (!established_ || failed_ != 0) return 0;
  if (!shut_) {
    if (!wire().has_reserve()) flush();
    if (!wire().has_reserve() && write_failed_ == 0) return kWouldBlock;
    if (catch_up() == kWouldBlock && write_failed_ == 0) {
      flush();
      return kWouldBlock;
    }
    shut_ = true;
    clear_errors();
    SSL_shutdown(ssl_.get());  // once: a second call would read
    clear_errors();
  }
  flush();
  if (write_failed_ != 0) return write_failed_;
  return wire().unsent() > 0 ? kWouldBlock : 0;
}

// Who waits.

bool Connection::can(Want want) const noexcept {
  if (closed_ || failed_ != 0) return true;
  if (want == Want::write) {
    if (write_failed_ != 0 || (torn_ && !shut_)) return true;
    return wire().unsent() == 0 && !write_wants_read_;
  }
  if (read_wants_write_) return wire().unsent() == 0 || write_failed_ != 0;
  return ended_ || wire().ended() || wire().has_input() || SSL_pending(ssl_.get()) > 0;
}

bool Connection::may(Want want) noexcept {
  if (!can(want)) return want == Want::read && !read_wants_write_ && below_->may(want);
  if (budget_ == 0) return false;
  --budget_;
  return true;
}

void Connection::wait(Want want, net::Waiter& new_waiter) noexcept {
  net::Waiter*& place = waiter(want);
  assert((place == nullptr || place == &new_waiter) &&
         "one task or callback waits for each direction");
  place = &new_waiter;
  if (can(want)) {
    turn_.activate(Events::timeout);
  } else {
    wait_below(want);
  }
}

// For what is unsent writer() waits already.
void Connection::wait_below(Want want) noexcept {
  if (want == Want::read ? !read_wants_write_ : write_wants_read_) reader().wait();
}

net::Waiter* Connection::unwait(Want want) noexcept {
  net::Waiter* const before = std::exchange(waiter(want), nullptr);
  const bool writer_reads = write_wants_read_ && waiter(Want::write) != nullptr;
  if (waiter(Want::read) == nullptr && !writer_reads) reader().unwait();
  return before;
}

// In each of these nothing is touched after a waiter was called: this may be gone. If both are due,
// the second one is called in the next iteration.

void Connection::wake() {
  budget_ = kBudget;
  net::Waiter* due[2] = {};
  for (const Want want : {Want::read, Want::write}) {
    if (waiter(want) == nullptr) continue;
    if (can(want)) {
      due[static_cast<std::size_t>(want)] = waiter(want);
    } else {
      wait_below(want);
    }
  }
  net::Waiter* const reader = due[0];
  net::Waiter* const writer = due[1];
  if (reader != nullptr && writer != nullptr) {
    turn_.activate(Events::timeout);
    writer_first_ = !writer_first_;
    return (writer_first_ ? writer : reader)->ready();
  }
  if (reader != nullptr) return reader->ready();
  if (writer != nullptr) writer->ready();
}

void Connection::below_is_ready(Want want) {
  if (want == Want::write) {
    flush();
    return wake();
  }
  budget_ = kBudget;
  net::Waiter* const reader = waiter(Want::read);
  if (std::exchange(write_wants_read_, false) && waiter(Want::write) != nullptr)
    turn_.activate(Events::timeout);
  if (reader != nullptr) reader->ready();
}

template <Want kWant>
Connection& Below<kWant>::connection() noexcept {
  return static_cast<Connection&>(*this);
}

template <Want kWant>
void Below<kWant>::wait() noexcept {
  if (std::exchange(connection().waits_[kIndex<kWant>], true)) return;
  connection().below_->wait(kWant, *this);
}

template <Want kWant>
bool Below<kWant>::unwait() noexcept {
  if (!std::exchange(connection().waits_[kIndex<kWant>], false)) return false;
  static_cast<void>(connection().below_->unwait(kWant));
  return true;
}

template <Want kWant>
void Below<kWant>::ready() {
  unwait();
  connection().below_is_ready(kWant);
}

template <Want kWant>
void Below<kWant>::dropped() noexcept {
  connection().waits_[kIndex<kWant>] = false;
  connection().below_is_closed();
}

// By somebody else.
void Connection::below_is_closed() noexcept {
  closed_ = true;
  reader().unwait();
  writer().unwait();
  drop_waiters();
}

// Comes last: it may destroy this.
void Connection::drop_waiters() noexcept {
  net::detail::drop_waiters(
      [this](Want want) { return std::exchange(waiter(want), nullptr); },
      [this](Want want, net::Waiter& new_waiter) { waiter(want) = &new_waiter; });
}

// The end.

// A child process shares the connection, and must not end it.
bool Connection::is_ours() const noexcept { return process_ == ::getpid(); }

void Connection::close() noexcept {
  if (closed_) return;
  if (is_ours()) static_cast<void>(shutdown());
  closed_ = true;
  end([](net::Stream& below) { below.close(); });
}

void Connection::reset() noexcept {
  if (std::exchange(closed_, true)) return;
  end([](net::Stream& below) { below.reset(); });
}

template <class F>
void Connection::end(F close_below) noexcept {
  reader().unwait();
  writer().unwait();
  turn_.detach();
  wire().drop_output();
  close_below(*below_);
  drop_waiters();
}

void Connection::refuse() noexcept {
  static_cast<void>(below_->try_shutdown());
  char* const buffer = net::detail::try_take_buffer();
  if (buffer == nullptr) return;
  static_cast<void>(below_->try_read({buffer, net::detail::kBufferSize}));
  net::detail::give_back_buffer(buffer);
}

void Connection::idle_timeout(AnyDuration limit) {
  below_->idle_timeout(limit);
  has_idle_timeout_ = limit > Duration::zero();
  if (write_failed_ != -ETIMEDOUT) return;
  write_failed_ = 0;
  flush();
}

}  // namespace event_cpp::tls::detail

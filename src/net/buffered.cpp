#include "event/net/buffered.hpp"

#include <algorithm>
#include <cassert>
#include <cerrno>
#include <memory>
#include <new>
#include <system_error>
#include <utility>

#include "net/net_state.hpp"
#include "sys/fork_count.hpp"

namespace event_cpp::net {

void detail::FlushList::add(Buffered& buffered) noexcept {
  if (!head_.linked()) unsent_.activate(Events::timeout);
  head_.push_back(buffered.in_list_);
}

void detail::FlushList::flush() noexcept {
  while (head_.linked()) {
    Buffered& buffered = static_cast<Buffered::InList*>(head_.next())->owner;
    buffered.in_list_.unlink();
    buffered.send();
  }
  unsent_.detach();
}

// What is unsent and does not wait is in the list, unless the base is gone.
Buffered::~Buffered() {
  if (reader_ != nullptr) reader_->abandon();
  if (drain_ != nullptr) drain_->abandon();
  stop_waiting();
  if (!in_list_.linked() || forks_ != event_cpp::detail::exported_fork_count()) return;
  while (unsent() > 0) {
    const Io io = stream_.try_write(Bytes(out_.data() + sent_, unsent()));
    if (io <= 0) break;
    sent_ += static_cast<std::size_t>(io);
  }
}

// What was read.

std::string_view Buffered::buffered() const noexcept {
  return spill_.empty() ? chunk_.text() : std::string_view(spill_).substr(taken_);
}

void Buffered::consume(std::size_t count) noexcept {
  assert(count <= buffered().size());
  searched_ = 0;
  if (spill_.empty()) {
    chunk_.remove_prefix(count);
  } else {
    taken_ += count;
  }
}

// Before a read: what the one before returned is not needed any more.
void Buffered::tidy() noexcept {
  if (spill_.empty()) {
    if (chunk_.empty()) chunk_ = Chunk();
  } else if (taken_ == spill_.size()) {
    spill_ = std::string();
    taken_ = 0;
  } else if (taken_ > spill_.size() / 2) {
    spill_.erase(0, taken_);
    taken_ = 0;
  }
}

// Reads more, behind what is there. Memory for it is there before anything is read, so that nothing
// is lost.
Io Buffered::fill() noexcept {
  try {
    const bool spills = !buffered().empty();
    if (spills) {
      spill_.reserve(spill_.size() + chunk_.size() + detail::kBufferSize);
      if (spill_.empty()) {
        spill_.append(chunk_.text());
        taken_ = 0;
        chunk_ = Chunk();
      }
    }
    char* const buffer = detail::take_buffer();
    const Io io = stream_.try_read({buffer, detail::kBufferSize});
    Chunk more(buffer, static_cast<std::size_t>(std::max<Io>(io, 0)));
    if (io <= 0) return io;
    if (spills) {
      spill_.append(more.text());
    } else {
      spill_ = std::string();
      chunk_ = std::move(more);
    }
    return io;
  } catch (const std::bad_alloc&) {
    return -ENOMEM;
  }
}

// What is read is consumed when the task resumes, so that nothing is lost if it does not.
bool Buffered::Read::begin_read(co::detail::Chain& chain, void* frame) noexcept {
  if (buffered_.reader_ != nullptr) {
    assert(false && "one task reads");
    fail(-EBUSY);
    begin_done(chain, frame);
    return true;
  }
  buffered_.tidy();
  buffered_.searched_ = 0;  // for what the read before looked for
  // A cancelled task cannot wait, so it tries once.
  bool ended = complete() || ((stream().may(Want::read) || chain.cancelled) && step());
  if (!ended) {
    buffered_.send();
    if (buffered_.failed_ < 0) {
      if (!step()) io_ = buffered_.failed_;
      ended = true;
    }
  }
  if (ended && chain.spend_little()) return false;
  buffered_.reader_ = this;
  suspended_ = true;
  if (ended && !chain.cancelled) {
    begin_done(chain, frame);
  } else {
    begin_wait(chain, frame);
  }
  return true;
}

void Buffered::Read::end(Io error) noexcept {
  if (!waits()) return;
  stream().unwait(Want::read);
  fail(error);
  wake();
}

void Buffered::Read::abandon() noexcept {
  end(-ECANCELED);
  if (suspended_) fail(-ECANCELED);
}

bool Buffered::Read::step() noexcept {
  for (bool first = true; !complete(); first = false) {
    if (!first && !stream().may(Want::read)) return false;
    const Io io = buffered_.fill();
    if (io == kWouldBlock) return false;
    if (io < 0) {
      io_ = io;
      return true;
    }
    if (io == 0) return end_of_stream();
  }
  return true;
}

// Whether what was read has it. Then it is taken.
bool Buffered::Read::complete() noexcept {
  const std::string_view text = buffered_.buffered();
  switch (kind_) {
    case Kind::line:
    case Kind::until:
      return complete_delimited(result_);
    case Kind::exactly:
      if (count_ > buffered_.limits_.read) {
        io_ = to_io(Errc::too_long);
        return true;
      }
      if (text.size() < count_) return false;
      result_ = text.substr(0, count_);
      return true;
    case Kind::peek:
      result_ = text;
      return !text.empty();
    case Kind::chunk:
      return !text.empty();
  }
  return true;
}

bool Buffered::Read::complete_delimited(std::string_view delimiter) noexcept {
  if (delimiter.empty()) {
    io_ = -EINVAL;
    return true;
  }
  const std::string_view text = buffered_.buffered();
  const std::size_t limit = buffered_.limits_.line;
  const std::size_t found = text.find(delimiter, buffered_.searched_);
  if (found == std::string_view::npos) {
    buffered_.searched_ = text.size() - std::min(text.size(), delimiter.size() - 1);
    // A carriage return at the end may belong to the end of a line.
    const bool may_end = kind_ == Kind::line && text.ends_with('\r');
    const std::size_t end = delimiter.size() + (may_end ? 1 : 0);
    const bool too_long = text.size() >= end && text.size() - end >= limit;
    if (too_long) io_ = to_io(Errc::too_long);
    return too_long;
  }
  std::string_view before = text.substr(0, found);
  if (kind_ == Kind::line && before.ends_with('\r')) before.remove_suffix(1);
  if (before.size() > limit) {
    io_ = to_io(Errc::too_long);
    return true;
  }
  result_ = before;
  count_ = found + delimiter.size();
  return true;
}

bool Buffered::Read::end_of_stream() noexcept {
  at_end_ = true;
  switch (kind_) {
    case Kind::line: {
      const std::string_view rest = buffered_.buffered();
      result_ = rest.substr(0, buffered_.limits_.line);
      if (rest.size() > result_.size()) {
        io_ = to_io(Errc::too_long);
      } else if (!rest.empty()) {
        at_end_ = false;  // a last line without an end
        count_ = rest.size();
      }
      break;
    }
    case Kind::until:
    case Kind::exactly:
      io_ = to_io(Errc::truncated);
      break;
    case Kind::peek:
    case Kind::chunk:
      result_ = {};
      break;
  }
  return true;
}

void Buffered::Read::finish() {
  if (suspended_ || cancelled() || io_ < 0) [[unlikely]]
    leave_or_throw();
  if (count_ > 0) buffered_.consume(count_);
}

void Buffered::Read::leave_or_throw() {
  if (suspended_) {
    leave();
    if (chain()->cancelled) co::detail::throw_cancelled();
  }
  throw_if_cancelled();
  if (io_ < 0) raise(io_, "read");
}

co::Waiting Buffered::Read::waiting() const noexcept {
  constexpr const char* kNames[] = {"read_line", "read_until", "read_exactly", "peek", "receive"};
  return describe(kNames[static_cast<std::size_t>(kind_)]);
}

Chunk Buffered::ReadChunk::await_resume() {
  finish();
  Buffered& from = buffered();
  if (from.spill_.empty()) return std::move(from.chunk_);
  const std::string_view text = from.buffered();
  const std::size_t size = std::min(text.size(), detail::kBufferSize);
  char* const buffer = detail::take_buffer();
  std::copy_n(text.data(), size, buffer);
  from.consume(size);
  return {buffer, size};
}

Buffered::ReadLine Buffered::read_line(unsigned line) noexcept { return {*this, line}; }
Buffered::ReadText Buffered::read_until(std::string_view delimiter, unsigned line) noexcept {
  return {*this, Read::Kind::until, delimiter, 0, line};
}
Buffered::ReadText Buffered::read_exactly(std::size_t count, unsigned line) noexcept {
  return {*this, Read::Kind::exactly, {}, count, line};
}
Buffered::ReadText Buffered::peek(unsigned line) noexcept {
  return {*this, Read::Kind::peek, {}, 0, line};
}
Buffered::ReadChunk Buffered::receive(unsigned line) noexcept { return {*this, line}; }

// What is to be sent.

void Buffered::throw_if_failed(const char* what) const {
  if (failed_ < 0) stream_.throw_error(failed_, what);
}

void Buffered::put(Bytes bytes) {
  throw_if_failed("put");
  if (bytes.empty()) return;
  if (bytes.size() > limits_.most - std::min(limits_.most, unsent())) {
    detail::throw_io(-ENOBUFS, "put");
  }
  if (sent_ > 0 && sent_ >= out_.size() / 2) {
    out_.erase(0, sent_);
    sent_ = 0;
  }
  const bool was_empty = unsent() == 0;
  if (was_empty && !waits_ && !in_list_.linked()) {
    auto& list = detail::state_of(stream_.base()).flush_list;
    if (list == nullptr) list = std::make_unique<detail::FlushList>(stream_.base());
    out_.append(bytes.data(), bytes.size());
    list->add(*this);
    forks_ = event_cpp::detail::exported_fork_count();
  } else {
    out_.append(bytes.data(), bytes.size());
  }
}

// As much as the stream takes now; the rest when it takes more.
void Buffered::send() noexcept {
  in_list_.unlink();
  while (unsent() > 0) {
    const Io io = stream_.try_write(Bytes(out_.data() + sent_, unsent()));
    if (io == kWouldBlock) {
      if (!start_waiting()) return send_failed(-EBUSY);
      break;
    }
    if (io < 0) return send_failed(io);
    sent_ += static_cast<std::size_t>(io);
  }
  if (unsent() == 0) {
    release_output();
    stop_waiting();
  }
  if (drain_ != nullptr && drain_->is_enough()) drain_->end();
}

// Other code may wait to write, such as one that shuts the stream down. It goes on waiting.
bool Buffered::start_waiting() noexcept {
  Waiter* const before = stream_.unwait(Want::write);
  waits_ = before == nullptr || before == this;
  stream_.wait(Want::write, waits_ ? *this : *before);
  return waits_;
}

void Buffered::stop_waiting() noexcept {
  if (!std::exchange(waits_, false)) return;
  Waiter* const before = stream_.unwait(Want::write);
  if (before != nullptr && before != this) stream_.wait(Want::write, *before);
}

void Buffered::release_output() noexcept {
  sent_ = 0;
  out_ = std::string();
}

void Buffered::send_failed(Io error) noexcept {
  failed_ = error;
  release_output();
  stop_waiting();
  if (reader_ != nullptr) reader_->end(error);
  if (drain_ != nullptr) drain_->end();
}

void Buffered::ready() {
  stream_.unwait(Want::write);
  waits_ = false;
  send();
}

void Buffered::dropped() noexcept {
  waits_ = false;
  send_failed(-ECANCELED);
}

bool Buffered::Drain::is_enough() const noexcept {
  return buffered_.unsent() <= (flushes_ ? 0 : buffered_.limits_.low);
}

bool Buffered::Drain::begin_drain(co::detail::Chain& chain, void* frame) {
  const std::size_t enough = flushes_ ? 0 : buffered_.limits_.high;
  const bool others_wait = buffered_.drain_ != nullptr && buffered_.drain_->waits();
  if (others_wait && buffered_.unsent() + bytes_.size() > enough) {
    assert(false && "one task waits to write");
    detail::throw_io(-EBUSY, "write");
  }
  buffered_.put(bytes_);
  const bool copies = buffered_.unsent() <= enough;
  if (!copies && !buffered_.waits_) {
    buffered_.send();
    buffered_.throw_if_failed("write");
  }
  const bool may_go_on = copies ? chain.spend_little() : chain.spend();
  const bool ended = buffered_.unsent() <= enough;
  if (ended && may_go_on) return false;
  waited_ = true;
  if (chain.cancelled) {
    begin_cancelled(chain, frame);
  } else if (ended) {
    begin_done(chain, frame);
  } else {
    // One that was woken gets its result now, as this takes its place.
    if (buffered_.drain_ != nullptr) buffered_.drain_->abandon();
    begin(chain, frame);
    buffered_.drain_ = this;
    suspended_ = true;
  }
  return true;
}

void Buffered::Drain::abandon() noexcept {
  io_ = waits() ? -ECANCELED : buffered_.failed_;
  leave();
  end();
}

// After a wait. The Buffered may be gone, unless this is still drain_.
void Buffered::Drain::finish() {
  throw_if_cancelled();
  if (suspended_) {
    leave();
    buffered_.throw_if_failed("write");
  } else if (io_ < 0) {
    detail::throw_io(io_, "write");
  } else if (chain()->cancelled) {
    co::detail::throw_cancelled();
  }
}

Buffered::Drain Buffered::write(Bytes bytes, unsigned line) noexcept {
  return {*this, bytes, false, line};
}
Buffered::Drain Buffered::flush(unsigned line) noexcept { return {*this, Bytes(), true, line}; }

}  // namespace event_cpp::net

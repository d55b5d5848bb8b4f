#include "base/text.hpp"
#include "event/event_class.hpp"
#include "event/timer.hpp"
#include "loop/loop.hpp"

namespace event_cpp {
namespace {

using detail::Outcome;

[[noreturn, gnu::cold, gnu::noinline]] void fail(Outcome outcome, const char* call) {
  throw std::system_error(outcome.code(), call);
}

[[noreturn, gnu::cold, gnu::noinline]] void fail_to_attach(Outcome outcome, const Event& event) {
  if (!any(event.events() & Events::signal)) fail(outcome, "event::Event::attach");
  throw std::system_error(outcome.code(),
                          "event::Event::attach: signal " + detail::to_text(event.fd()));
}

void throw_if_failed(Outcome outcome, const char* call) {
  if (outcome.failed()) [[unlikely]]
    fail(outcome, call);
}

}  // namespace

void Event::attach(AnyDuration timeout) & {
  const Outcome outcome = node_.loop->watches().attach(node_, timeout, timeout);
  if (outcome.failed()) [[unlikely]]
    fail_to_attach(outcome, *this);
}

std::error_code Event::try_attach(AnyDuration timeout) & noexcept {
  return node_.loop->watches().attach(node_, timeout, timeout).code();
}

void Event::attach(int fd, Events events, AnyDuration timeout) & {
  throw_if_failed(node_.loop->watches().attach_to(node_, fd, events, timeout),
                  "event::Event::attach");
}

std::error_code Event::try_attach(int fd, Events events, AnyDuration timeout) & noexcept {
  return node_.loop->watches().attach_to(node_, fd, events, timeout).code();
}

void Event::attach_at(AnyDeadline deadline) & {
  throw_if_failed(node_.loop->watches().attach_at(node_, deadline), "event::Event::attach_at");
}

std::error_code Event::try_attach_at(AnyDeadline deadline) & noexcept {
  return node_.loop->watches().attach_at(node_, deadline).code();
}

bool Event::detach() noexcept { return node_.in_use() && node_.loop->watches().detach(node_); }

void Event::rearm(AnyDuration timeout) & {
  throw_if_failed(node_.loop->watches().rearm(node_, timeout), "event::Event::rearm");
}

std::error_code Event::try_rearm(AnyDuration timeout) & noexcept {
  return node_.loop->watches().rearm(node_, timeout).code();
}

void Event::rearm_at(AnyDeadline deadline) & {
  throw_if_failed(node_.loop->watches().rearm_at(node_, deadline), "event::Event::rearm_at");
}

std::error_code Event::try_rearm_at(AnyDeadline deadline) & noexcept {
  return node_.loop->watches().rearm_at(node_, deadline).code();
}

void Event::assign(int fd, Events events) {
  throw_if_failed(node_.loop->watches().assign(node_, fd, events), "event::Event::assign");
}

void Event::modify(Events events) & {
  throw_if_failed(node_.loop->watches().modify(node_, events), "event::Event::modify");
}

std::error_code Event::try_modify(Events events) & noexcept {
  return node_.loop->watches().modify(node_, events).code();
}

std::error_code Event::try_assign(int fd, Events events) noexcept {
  return node_.loop->watches().assign(node_, fd, events).code();
}

void Event::activate(Events fired) & noexcept { node_.loop->watches().activate(node_, fired); }

void Event::keep_alive(bool on) noexcept { node_.loop->watches().set_keeps_alive(node_, on); }

Base& Event::base() const noexcept { return node_.loop->base(); }

std::optional<TimePoint> Event::deadline() const noexcept {
  return attached() ? node_.loop->watches().deadline(node_) : std::nullopt;
}

void Event::set_priority(Priority priority) noexcept {
  node_.loop->watches().set_priority(node_, priority);
}

void Event::release() noexcept { node_.loop->watches().release(node_); }

void Ticker::attach(AnyDuration first, AnyDuration period) & {
  throw_if_failed(node().loop->watches().attach(node(), first, period), "event::Ticker::attach");
}

std::error_code Ticker::try_attach(AnyDuration first, AnyDuration period) & noexcept {
  return node().loop->watches().attach(node(), first, period).code();
}

void Ticker::attach_at(AnyDeadline first, AnyDuration period) & {
  throw_if_failed(node().loop->watches().attach_ticker_at(node(), first, period),
                  "event::Ticker::attach_at");
}

std::error_code Ticker::try_attach_at(AnyDeadline first, AnyDuration period) & noexcept {
  return node().loop->watches().attach_ticker_at(node(), first, period).code();
}

}  // namespace event_cpp

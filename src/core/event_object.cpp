#include "event/event_object.hpp"

#include "core/loop.hpp"
#include "core/text.hpp"
#include "event/timer.hpp"

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

void Event::attach(Duration timeout) {
  const Outcome outcome = node_.loop->attach(node_, timeout, timeout);
  if (outcome.failed()) [[unlikely]]
    fail_to_attach(outcome, *this);
}

std::error_code Event::try_attach(Duration timeout) noexcept {
  return node_.loop->attach(node_, timeout, timeout).code();
}

bool Event::detach() noexcept { return node_.in_use() && node_.loop->detach(node_); }

void Event::rearm(Duration timeout) {
  throw_if_failed(node_.loop->rearm(node_, timeout), "event::Event::rearm");
}

void Event::assign(int fd, Events events) {
  throw_if_failed(node_.loop->assign(node_, fd, events), "event::Event::assign");
}

void Event::modify(Events events) {
  throw_if_failed(node_.loop->modify(node_, events), "event::Event::modify");
}

std::error_code Event::try_modify(Events events) noexcept {
  return node_.loop->modify(node_, events).code();
}

void Event::activate(Events fired) noexcept { node_.loop->activate(node_, fired); }

void Event::keep_alive(bool on) noexcept { node_.loop->set_keeps_alive(node_, on); }

Base& Event::base() const noexcept { return node_.loop->base(); }

std::optional<TimePoint> Event::deadline() const noexcept {
  return attached() ? node_.loop->deadline(node_) : std::nullopt;
}

void Event::set_priority(Priority priority) noexcept { node_.loop->set_priority(node_, priority); }

void Event::release() noexcept { node_.loop->release(node_); }

void Timer::attach_at(TimePoint deadline) {
  throw_if_failed(node().loop->attach_at(node(), deadline), "event::Timer::attach_at");
}

std::error_code Timer::try_attach_at(TimePoint deadline) noexcept {
  return node().loop->attach_at(node(), deadline).code();
}

void Timer::rearm_at(TimePoint deadline) {
  throw_if_failed(node().loop->rearm_at(node(), deadline), "event::Timer::rearm_at");
}

void Ticker::attach(Duration first, Duration period) {
  throw_if_failed(node().loop->attach(node(), first, period), "event::Ticker::attach");
}

}  // namespace event_cpp

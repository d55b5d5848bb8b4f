#include "event/event_object.hpp"

#include "core/loop.hpp"
#include "core/text.hpp"
#include "event/timer.hpp"

namespace event {
namespace {

void throw_if(std::error_code error, const char* what) {
  if (error) throw std::system_error(error, what);
}

}  // namespace

void Event::attach(Duration timeout) {
  const std::error_code error = try_attach(timeout);
  if (error && any(node_.events & Events::signal)) {
    throw std::system_error(error, "event::Event::attach: signal " + detail::to_text(fd()));
  }
  throw_if(error, "event::Event::attach");
}

std::error_code Event::try_attach(Duration timeout) noexcept {
  return node_.loop->attach(node_, timeout, timeout);
}

std::error_code Event::try_attach(Duration first, Duration period) noexcept {
  return node_.loop->attach(node_, first, period);
}

bool Event::detach() noexcept { return node_.in_use() && node_.loop->detach(node_); }

void Event::rearm(Duration timeout) {
  throw_if(node_.loop->rearm(node_, timeout), "event::Event::rearm");
}

void Event::assign(int fd, Events events) {
  throw_if(node_.loop->assign(node_, fd, events), "event::Event::assign");
}

void Event::activate(Events fired) noexcept { node_.loop->activate(node_, fired); }

void Event::keep_alive(bool on) noexcept { node_.loop->set_keeps_alive(node_, on); }

Base& Event::base() const noexcept { return node_.loop->base(); }

std::optional<TimePoint> Event::deadline() const noexcept {
  return attached() ? node_.loop->deadline(node_) : std::nullopt;
}

void Event::set_priority(Priority priority) noexcept { node_.loop->set_priority(node_, priority); }

void Event::release() noexcept { node_.loop->release(node_); }

void Ticker::attach(Duration first, Duration period) {
  throw_if(try_attach(first, period), "event::Ticker::attach");
}

}  // namespace event

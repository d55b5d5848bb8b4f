// The rules of attaching, firing and order, as the tests understand them.
#include "support/model_events.hpp"

#include <string>

#include "support/printing.hpp"

namespace event::test {
namespace {

// The next deadline of a ticker that is due: on its schedule, and not in the past.
TimePoint next_tick(TimePoint due, Duration period, TimePoint now) {
  if (period == Duration::zero()) return now;
  return due + ((now - due) / period + 1) * period;
}

std::optional<TimePoint> deadline_after(TimePoint now, Duration after, Events mask) {
  if (after == Duration::zero() && !any(mask & Events::timeout)) return std::nullopt;
  return now + after;
}

Due due_of(ModelEvent& event, ModelFiles& files, TimePoint now) {
  Due due;
  due.must = event.activated;
  due.priority = any(event.activated) ? event.activated_priority : event.priority;
  due.source = any(event.activated) ? Due::Source::hand : Due::Source::timer;
  due.attached_as = event.attached_as;
  due.file = event.file;
  if (!event.attached) return due;
  const ModelFile* const file = event.astray ? nullptr : files.find(event.fd);
  if (event.on_descriptor() && file != nullptr) {
    const Events ready = event.mask & file->ready();
    if (any(ready) && !any(due.must)) due.source = Due::Source::descriptor;
    due.must |= ready;
  }
  if (event.haunted) due.may = event.mask & kDescriptorConditions;
  if (event.deadline && *event.deadline <= now) {
    due.must |= Events::timeout;
    due.deadline = *event.deadline;
    if (event.is_ticker()) event.deadline = next_tick(*event.deadline, event.timeout, now);
  }
  return due;
}

}  // namespace

void ModelEvent::attach(TimePoint now, Duration after, unsigned count, int file_id) {
  attached = true;
  astray = haunted = false;
  timeout = after;
  deadline = deadline_after(now, after, mask);
  attached_as = count;
  file = file_id;
}

void ModelEvent::detach() {
  attached = false;
  deadline.reset();
  activated = Events::none;
}

void ModelEvent::rearm(TimePoint now, Duration after) {
  timeout = after;
  deadline = deadline_after(now, after, mask);
  activated &= ~Events::timeout;
}

void ModelEvent::activate(Events what) {
  if (!any(activated)) activated_priority = priority;
  activated |= what;
}

void ModelEvent::assign(int number, Events what) {
  fd = number;
  mask = what;
  file = -1;
  timeout = Duration::zero();
  activated = Events::none;
}

void ModelTurn::begin(std::map<int, ModelEvent>& events, ModelFiles& files, TimePoint now) {
  now_ = now;
  due_.clear();
  order_.clear();
  posted_.reset();
  for (auto& [id, event] : events) {
    const Due due = due_of(event, files, now);
    event.activated = Events::none;
    if (any(due.must | due.may)) due_[id] = due;
  }
}

void ModelTurn::forget_timeout(int id) {
  const auto found = due_.find(id);
  if (found == due_.end()) return;
  found->second.must &= ~Events::timeout;
  if (!any(found->second.must | found->second.may)) due_.erase(found);
}

std::string ModelTurn::ran(int id, ModelEvent& event, Events fired) {
  const auto found = due_.find(id);
  if (found == due_.end()) return "fires though it is not due, with " + to_string(fired);
  const Due due = found->second;
  due_.erase(found);
  if ((fired & due.must) != due.must || any(fired & ~(due.must | due.may)) || !any(fired)) {
    return "is told " + to_string(fired) + " instead of " + to_string(due.must);
  }
  if (event.attached && !event.persists()) event.detach();
  const bool each_iteration = event.is_ticker() && event.timeout == Duration::zero();
  if (event.attached && event.deadline && (event.on_descriptor() || each_iteration)) {
    event.deadline = now_ + event.timeout;
  }
  std::string wrong = any(due.may) ? std::string() : in_order(due);
  if (!any(due.may)) order_.push_back(due);
  return wrong;
}

std::string ModelTurn::in_order(const Due& now) const {
  if (posted_ && *posted_ >= now.priority) return "runs after a posted function";
  for (const Due& before : order_) {
    if (before.priority > now.priority) return "runs after a lower priority";
    if (before.priority != now.priority || before.source == Due::Source::hand) continue;
    if (before.source > now.source && now.source != Due::Source::hand) {
      return "runs after a timer though its descriptor is ready";
    }
    if (before.source != now.source) continue;
    if (now.source == Due::Source::timer && before.deadline > now.deadline) {
      return "runs after a timer that is due later";
    }
    if (now.source == Due::Source::descriptor && before.file == now.file &&
        before.attached_as > now.attached_as) {
      return "runs after an event on its descriptor that was attached later";
    }
  }
  return {};
}

std::string ModelTurn::ran_posted(Priority priority) {
  for (const auto& [id, due] : due_) {
    if (any(due.must) && due.priority <= priority) {
      return "runs before event " + std::to_string(id);
    }
  }
  posted_ = priority;
  return {};
}

std::string ModelTurn::end() const {
  for (const auto& [id, due] : due_) {
    if (any(due.must)) {
      return "event " + std::to_string(id) + " does not fire for " + to_string(due.must);
    }
  }
  return {};
}

}  // namespace event::test

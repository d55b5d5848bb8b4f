// The rules of attaching, firing and order, as the tests understand them.
#include "support/model_events.hpp"

#include <algorithm>
#include <string>
#include <utility>

#include "support/printing.hpp"

namespace event_cpp::test {
namespace {

std::optional<TimePoint> deadline_after(TimePoint now, Duration after, Events mask) {
  if (after == Duration::zero() && !any(mask & Events::timeout)) return std::nullopt;
  return now + after;
}

// True if `a` is to run before `b`, which is active as well; false also if they may run in any
// order.
bool comes_before(const Due& a, const Due& b) {
  if (a.priority != b.priority) return a.priority < b.priority;
  if (a.since != b.since) return a.since < b.since;
  if (a.source != b.source) return a.source < b.source;
  if (a.source == Due::Source::timer) {
    return std::pair(a.deadline, a.timed_as) < std::pair(b.deadline, b.timed_as);
  }
  return a.source == Due::Source::descriptor && a.file == b.file && a.attached_as < b.attached_as;
}

}  // namespace

void ModelEvent::set_deadline(std::optional<TimePoint> at, std::uint64_t count) {
  deadline = at;
  timed = at.has_value();
  timed_as = count;
}

void ModelEvent::attach(TimePoint now, Duration first, Duration after, int file_id,
                        std::uint64_t count) {
  attached = true;
  astray = haunted = false;
  timeout = after;
  set_deadline(deadline_after(now, first, mask), count);
  attached_as = count;
  file = file_id;
}

void ModelEvent::detach() {
  attached = timed = false;
  deadline.reset();
}

void ModelEvent::rearm(TimePoint now, Duration after, std::uint64_t count) {
  timeout = after;
  set_deadline(deadline_after(now, after, mask), count);
}

void ModelEvent::assign(int number, Events what) {
  fd = number;
  mask = what;
  file = -1;
  timeout = Duration::zero();
}

void ModelTurn::start(TimePoint now) {
  now_ = now;
  boundary_ = first_boundary_ = count();
  looked_ = false;
}

Due& ModelTurn::become_active(int id, const ModelEvent& event, Due::Source source) {
  const auto [at, is_new] = due_.try_emplace(id);
  Due& due = at->second;
  if (is_new) {
    due.since = source == Due::Source::hand ? count() : boundary_;
    due.priority = event.priority;
    due.source = source;
    due.file = event.file;
    due.attached_as = event.attached_as;
  }
  return due;
}

void ModelTurn::look(ModelEvents& events, ModelFiles& files, TimePoint now) {
  now_ = now;
  boundary_ = count();
  if (!std::exchange(looked_, true)) first_boundary_ = boundary_;
  look_at_files(events, files);
  look_at_timers(events);
  look_at_signals(events);
  for (auto& posts : posts_) {
    for (Post& post : posts) {
      if (post.since == 0) post.since = boundary_;
    }
  }
}

void ModelTurn::look_at_files(ModelEvents& events, ModelFiles& files) {
  for (auto& [id, event] : events) {
    if (!event.attached || !event.on_descriptor()) continue;
    const Events asked = event.mask & kDescriptorConditions;
    const ModelFile* const file = event.astray ? nullptr : files.find(event.fd);
    const Events ready = file != nullptr ? file->ready(asked) : Events::none;
    const bool by_edges = any(event.mask & Events::edge);  // when, nobody promises
    const Events must = by_edges ? Events::none : ready;
    const Events may = (by_edges ? ready : Events::none) | (event.haunted ? asked : Events::none);
    if (!any(must | may)) continue;
    become_active(id, event, Due::Source::descriptor).add(must, may, boundary_);
  }
}

// In the order of their deadlines, as tickers get the next one on the way.
void ModelTurn::look_at_timers(ModelEvents& events) {
  std::vector<std::pair<std::pair<TimePoint, std::uint64_t>, int>> passed;
  for (const auto& [id, event] : events) {
    if (event.deadline && *event.deadline <= now_) {
      passed.push_back({{*event.deadline, event.timed_as}, id});
    }
  }
  std::sort(passed.begin(), passed.end());
  for (const auto& [key, id] : passed) expire(id, events[id]);
}

void ModelTurn::expire(int id, ModelEvent& event) {
  Due& due = become_active(id, event, Due::Source::timer);
  due.add(Events::timeout, Events::none, boundary_);
  if (due.since == boundary_) {  // it became active just now
    due.deadline = *event.deadline;
    due.timed_as = event.timed_as;
  }
  if (!event.is_ticker() || event.timeout == Duration::zero()) {
    event.deadline.reset();
    event.timed = event.persists();  // then it starts anew when it runs
    return;
  }
  const Duration::rep periods = (now_ - *event.deadline) / event.timeout;
  const auto skipped = static_cast<std::uint64_t>(periods);
  event.missed = due.ticked ? event.missed + 1 + skipped : skipped;
  due.ticked = true;
  event.set_deadline(*event.deadline + (periods + 1) * event.timeout, count());
}

// An event that was attached after its signal had come need not be told of it.
void ModelTurn::look_at_signals(ModelEvents& events) {
  for (auto& [id, event] : events) {
    if (!event.attached || !event.on_signal()) continue;
    const auto raised = raised_.find(event.fd);
    if (raised == raised_.end()) continue;
    Due& due = become_active(id, event, Due::Source::signal);
    const bool certain = event.attached_as < raised->second;
    due.add(certain ? Events::signal : Events::none, certain ? Events::none : Events::signal,
            boundary_);
  }
  raised_.clear();
}

void ModelTurn::activate(int id, const ModelEvent& event, Events what) {
  become_active(id, event, Due::Source::hand).add(what, Events::none, count_);
}

void ModelTurn::forget_timeout(int id) {
  const auto found = due_.find(id);
  if (found == due_.end()) return;
  found->second.remove(Events::timeout);
  found->second.ticked = false;
  if (!any(found->second.must | found->second.may)) due_.erase(found);
}

void ModelTurn::forget_conditions(int id, Events which) {
  const auto found = due_.find(id);
  if (found == due_.end()) return;
  found->second.remove(which);
  if (!any(found->second.must | found->second.may)) due_.erase(found);
}

void ModelTurn::forget_doubts(int id) {
  const auto found = due_.find(id);
  if (found == due_.end()) return;
  found->second.may = Events::none;
  if (!any(found->second.must)) due_.erase(found);
}

bool ModelTurn::is_uncertain(int id) const {
  const auto found = due_.find(id);
  return found != due_.end() && any(found->second.may);
}

bool ModelTurn::is_active() const {
  return std::any_of(due_.begin(), due_.end(),
                     [](const auto& each) { return any(each.second.must); }) ||
         std::any_of(posts_.begin(), posts_.end(),
                     [](const auto& posts) { return !posts.empty() && posts.front().since != 0; });
}

bool ModelTurn::is_posted() const {
  return std::any_of(posts_.begin(), posts_.end(), [](const auto& each) { return !each.empty(); });
}

std::string ModelTurn::ran(int id, ModelEvent& event, Events fired) {
  const auto found = due_.find(id);
  if (found == due_.end()) return "fires though it is not due, with " + to_string(fired);
  const Due due = found->second;
  due_.erase(found);
  if (due.since > boundary_) return "does not wait for the next iteration";
  if ((fired & due.must) != due.must || any(fired & ~(due.must | due.may)) || !any(fired)) {
    return "is told " + to_string(fired) + " instead of " + to_string(due.must) + " and maybe " +
           to_string(due.may);
  }
  if (!due.ticked) event.missed = 0;
  if (event.attached && !event.persists()) {
    event.detach();
  } else if (event.timed &&
             (!event.is_ticker() || event.timeout == Duration::zero() || !event.deadline)) {
    event.set_deadline(now_ + event.timeout, count());
  }
  return due.has_known_turn() ? in_turn(due, true) : std::string();
}

std::string ModelTurn::in_turn(const Due& now, bool among_events) const {
  for (const auto& [id, due] : due_) {
    if (due.has_known_turn() && due.since <= in_order_until() && comes_before(due, now)) {
      return "runs before event " + std::to_string(id);
    }
  }
  if (!among_events) return {};
  for (std::size_t p = 0; p < posts_.size(); ++p) {
    if (!is_first_in_turn(posts_[p])) continue;
    Due post;
    post.priority = static_cast<Priority>(p);
    post.since = posts_[p].front().since;
    post.source = Due::Source::post;
    if (comes_before(post, now)) return "runs before a posted function";
  }
  return {};
}

std::string ModelTurn::ran_posted(Priority priority, int number) {
  auto& posts = posts_[index(priority)];
  if (posts.empty() || posts.front().number != number) return "is out of order";
  if (posts.front().since == 0) return "does not wait for the next iteration";
  Due due;
  due.priority = priority;
  due.since = posts.front().since;
  due.source = Due::Source::post;
  posts.pop_front();
  for (std::size_t p = 0; p < index(priority); ++p) {
    if (is_first_in_turn(posts_[p])) return "runs before a more urgent one";
  }
  return in_turn(due, false);
}

bool ModelTurn::is_first_in_turn(const std::deque<Post>& posts) const {
  return !posts.empty() && posts.front().since != 0 && posts.front().since <= in_order_until();
}

std::string ModelTurn::left() const {
  for (const auto& [id, due] : due_) {
    if (any(due.must) && due.must_since <= in_order_until()) {
      return "event " + std::to_string(id) + " does not fire for " + to_string(due.must);
    }
  }
  for (const auto& posts : posts_) {
    if (is_first_in_turn(posts)) {
      return "posted function " + std::to_string(posts.front().number) + " does not run";
    }
  }
  return {};
}

}  // namespace event_cpp::test

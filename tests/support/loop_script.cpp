// Running the base: when it looks at the kernel shows in its counter of iterations, and what it
// sees then is what is true when the next callback begins, for no other code runs in between.
#include "support/loop_script.hpp"

#include <algorithm>
#include <exception>
#include <utility>

#include "support/printing.hpp"

namespace event_cpp::test {
namespace {

constexpr int kBound = 0;  // the id of the event that ends a run
constexpr Duration kLong = std::chrono::hours(1);
constexpr std::size_t kMostCallbacks = 40;  // of a run that could go on for ever
constexpr std::size_t kLogged = 60;

constexpr bool is_nonblock(RunMode mode) { return any(mode & RunMode::nonblock); }

}  // namespace

Options LoopScript::options(Backend backend, Random& random, Time& time) {
  Options chosen;
  chosen.backend = backend;
  chosen.time = &time;
  if (random.below(4) == 3) chosen.slice = 1 + random.below(5);
  if (random.below(8) == 7) chosen.slack = std::chrono::milliseconds(1);
  chosen.timing = random.below(8) == 7;
  return chosen;
}

LoopScript::LoopScript(Backend backend, Random& random)
    : random_(random),
      files_(random),
      options_(options(backend, random, time_)),
      sliced_(options_.slice < Options().slice),
      base_(std::in_place, options_) {
  for (int i = 0; i < 4; ++i) files_.open();
  bound_ = std::make_shared<Timer>(
      *base_, [this](Events fired) { fire(kBound, fired); }, Priority::low);
  bound_->keep_alive(false);
  ModelEvent bound;
  bound.kind = ModelEvent::Kind::bound;
  bound.mask = Events::timeout;
  bound.priority = Priority::low;
  bound.keeps_alive = false;
  models_[kBound] = bound;
}

std::string LoopScript::run(int runs) {
  try {
    run_all(runs);
  } catch (const std::exception& error) {
    expect(false, "the library", std::string("throws ") + error.what());
  }
  if (in_child_) end_child();
  return wrong_;
}

void LoopScript::run_all(int runs) {
  do {
    for (std::size_t i = random_.below(12); i > 0; --i) act(-1);
    if (random_.one_in(2)) time_.advance(duration());
    run_base();
    check_state();
  } while (++run_ < runs && !random_.used_up() && wrong_.empty());
  if (random_.one_in(2)) base_.reset();
}

RunMode LoopScript::any_mode() {
  constexpr RunMode kModes[] = {RunMode::nonblock, RunMode::nonblock,
                                RunMode::nonblock, RunMode::once,
                                RunMode::forever,  RunMode::keep_alive,
                                RunMode::nonblock, RunMode::keep_alive | RunMode::once};
  return kModes[random_.below(8)];
}

void LoopScript::attach_bound() {
  expect(!bound_->try_attach(kLong), "the bound", "does not attach");
  models_[kBound].attach(time_.now(), kLong, kLong, -1, turn_.count());
}

void LoopScript::run_base() {
  mode_ = any_mode();
  note("run " + std::to_string(run_) + " in mode " + std::to_string(static_cast<int>(mode_)));
  if (!is_nonblock(mode_)) attach_bound();
  turn_.start(time_.now());
  callbacks_ = 0;
  looked_ = skipped_ = idle_ran_ = false;
  const bool had_stop = stopping_;
  bool thrown = false;
  try {
    const std::size_t count = base_->loop(mode_);
    expect(count == callbacks_, "the base", "counts " + std::to_string(count) + " callbacks");
  } catch (const Thrown&) {
    thrown = true;
  }
  expect(thrown == throwing_, "an exception", "does not leave the base, or does not come");
  throwing_ = false;
  skipped_ = false;
  if (base_->stats().iterations != looks_) sync();
  expect_end(mode_, had_stop, thrown);
  mode_ = RunMode::nonblock;
  bound_->detach();
  models_[kBound].detach();
  turn_.forget(kBound);
}

void LoopScript::expect_end(RunMode mode, bool had_stop, bool thrown) {
  expect(!had_stop || !looked_, "the base", "looks at the kernel though it was stopped before");
  if (thrown) return;
  if (!stopping_now_) {
    expect_nothing("the base ends, and", turn_.left());
  }
  const bool once = any(mode & RunMode::once);
  if (!is_nonblock(mode) && !stopping_ && !(once && callbacks_ > 0)) {
    expect(!any(mode & RunMode::keep_alive) && !alive(), "the base", "ends too early");
  }
  if (is_nonblock(mode) && !had_stop) expect(looked_, "the base", "does not look at the kernel");
  stopping_ = stopping_now_ = false;
}

// Whether there is something that keeps dispatch() running.
bool LoopScript::alive() const {
  const bool keeps = std::any_of(models_.begin(), models_.end(), [](const auto& each) {
    return each.second.attached && each.second.keeps_alive;
  });
  const bool idle = std::any_of(hooks_.begin(), hooks_.end(), [](const auto& each) {
    return each.second->when() == Hook::When::idle;
  });
  return keeps || idle || turn_.is_active() || turn_.is_posted();
}

// To be called first by whatever the base calls: it has looked at the kernel, or not, since it
// called something before.
void LoopScript::sync() {
  const std::uint64_t looks = base_->stats().iterations;
  if (looks == looks_ && !skipped_) {
    return expect(base_->now() == turn_.now(), "the base", "has another time than it had");
  }
  if (looks != looks_ && looked_ && !sliced_) {
    expect_nothing("the base looks again, and", turn_.left());
    expect(!any(mode_ & RunMode::once) || callbacks_ == 0, "the base", "goes on after a callback");
  }
  looks_ = looks;
  looked_ = true;
  skipped_ = idle_ran_ = false;
  turn_.look(models_, files_, time_.now());
  if (base_->running()) expect(base_->now() == turn_.now(), "the base", "has another time");
}

// The base has found nothing to run, and sleeps until then.
void LoopScript::on_skip(TimePoint to) {
  const bool in_look = base_->stats().iterations != looks_;  // else idle hooks have run before
  // With slack, a timer that is due may wait for others that are due soon.
  if (in_look && options_.slack == Duration::zero()) sync();
  note("the base sleeps");
  expect(!is_nonblock(mode_), "the base", "sleeps though it is not to wait");
  expect(!turn_.is_active() && !turn_.is_posted(), "the base", "sleeps though something is to run");
  expect(!in_look || any(mode_ & RunMode::keep_alive) || alive(), "the base",
         "sleeps though nothing keeps it alive");
  std::optional<TimePoint> next;
  for (const auto& [id, model] : models_) {
    if (model.deadline && (!next || *model.deadline < *next)) next = model.deadline;
  }
  expect(next.has_value(), "the base", "sleeps for nothing");
  expect(next && to <= *next + options_.slack, "the base", "sleeps too long");
  skipped_ = in_look;
}

void LoopScript::check_state() {
  std::size_t attached = 0;
  for (const auto& [id, model] : models_) {
    attached += model.attached ? 1 : 0;
    if (const auto found = events_.find(id); found != events_.end()) check_event(id, model);
  }
  expect(base_->size() == attached, "the base", "has another size");
  expect(base_->stats().attached == attached, "the base", "counts another size");
  expect(!base_->running(), "the base", "seems to run");
  expect(base_->now() == time_.now(), "the base", "has another time");
  check_next_timeout();
}

void LoopScript::check_event(int id, const ModelEvent& model) {
  const Event& event = *events_.at(id);
  expect(event.attached() == model.attached, id, "is attached or not");
  expect(event.deadline() == model.deadline, id, "has another deadline");
  expect(event.timeout() == model.timeout, id, "has another timeout");
  expect(event.priority() == model.priority, id, "has another priority");
  expect(event.fd() == model.fd, id, "has another descriptor");
  expect(event.events() == model.mask, id, "asks for something else");
}

void LoopScript::check_next_timeout() {
  const std::optional<Duration> left = base_->next_timeout();
  const bool busy = turn_.is_active() || turn_.is_posted() || turn_.is_raised() || stopping_;
  if (busy) return expect(left == Duration::zero(), "the base", "would sleep though it is busy");
  for (const auto& [id, model] : models_) {
    if (!model.deadline) continue;
    const Duration until = std::max(*model.deadline - time_.now(), Duration::zero());
    if (left && *left <= until + options_.slack) continue;
    expect(false, "the base", "would oversleep " + name(id));
  }
}

void LoopScript::count_callback() {
  if (++callbacks_ >= kMostCallbacks && !is_nonblock(mode_)) stop(false);
}

void LoopScript::fire(int id, Events fired) {
  sync();
  const auto found = models_.find(id);
  note(name(id) + " fires for " + to_string(fired));
  count_callback();
  expect(!stopping_now_, id, "fires though the base was stopped");
  if (found == models_.end()) return expect(false, id, "fires after it was destroyed");
  ModelEvent& model = found->second;
  expect_nothing(name(id), turn_.ran(id, model, fired));
  if (model.kind == ModelEvent::Kind::bound) return stop(false);
  if (model.kind == ModelEvent::Kind::ticker) {
    expect(static_cast<Ticker&>(*events_.at(id)).missed() == model.missed, id,
           "has missed more, or less");
  }
  if (model.kind == ModelEvent::Kind::owned) models_.erase(found);
  act_inside(id, 4);
}

void LoopScript::run_posted(Priority priority, int number) {
  sync();
  note("posted function " + std::to_string(number) + " runs");
  count_callback();
  expect(!stopping_now_, "a posted function", "runs though the base was stopped");
  expect_nothing("posted function " + std::to_string(number), turn_.ran_posted(priority, number));
  act_inside(-1, 3);
}

void LoopScript::run_hook(int id, Hook::When when) {
  sync();
  note("hook " + std::to_string(id) + " runs");
  if (when == Hook::When::idle) {
    if (!idle_ran_) expect(!turn_.is_active(), "the base", "is idle though something is active");
    idle_ran_ = true;
    count_callback();
  }
  act_inside(-1, 3);
  if (when == Hook::When::after_wait) turn_.extend();
}

// What a callback does; some end with an exception.
void LoopScript::act_inside(int self, std::size_t most) {
  for (std::size_t i = random_.below(most); i > 0; --i) act(self);
  if (!wrong_.empty()) stop(true);  // nothing is learned from what comes after
  if (random_.below(40) != 39) return;
  note("throw");
  throwing_ = true;
  throw Thrown();
}

int LoopScript::any_event() {
  return std::next(events_.begin(), static_cast<long>(random_.below(events_.size())))->first;
}

// Mostly one that no other is equal to, but not always.
Duration LoopScript::duration() {
  if (random_.below(4) == 3) return std::chrono::milliseconds(1 + random_.below(4));
  return Duration(random_.below(20'000'003) + 1);
}

// What was done last is part of a failure.
void LoopScript::note(const std::string& what) {
  log_.push_back(what);
  if (log_.size() > kLogged) log_.pop_front();
}

void LoopScript::expect(bool right, const std::string& who, const std::string& what) {
  if (right || !wrong_.empty()) return;
  wrong_ = "run " + std::to_string(run_) + ": " + who + " " + what + "; after:";
  for (const std::string& each : log_) wrong_ += "\n  " + each;
}

}  // namespace event_cpp::test

#include "support/task_script.hpp"

#include <algorithm>
#include <chrono>
#include <exception>
#include <sstream>
#include <utility>

namespace event_cpp::test {

using co::Task;
using co::TaskGroup;
using namespace std::chrono_literals;

class TaskScript::Frame {
 public:
  Frame(TaskScript& script, int group, Frame* from) : script_(script), from_(from), group_(group) {
    ++script_.made_;
    ++own().frames;
    if (from_ != nullptr) ++from_->inner_;
  }
  ~Frame() {
    script_.expect(!destroyed_, "a frame is destroyed once");
    script_.expect(inner_ == 0, "a frame is destroyed after those that it has started");
    destroyed_ = true;
    --own().frames;
    if (from_ != nullptr) --from_->inner_;
    script_.mischief(group_);
  }
  Frame(const Frame&) = delete;
  Frame& operator=(const Frame&) = delete;

 private:
  Group& own() { return script_.groups_[static_cast<std::size_t>(group_)]; }

  TaskScript& script_;
  Frame* const from_;
  const int group_;
  int inner_ = 0;
  bool destroyed_ = false;
};

// A task of a group: what cancels the group cancels it.
class TaskScript::TopLevel {
 public:
  TopLevel(Group& group, bool cancelled) : group_(group) {
    level.cancelled = cancelled;
    group_.levels.push_back(&level);
  }
  ~TopLevel() { std::erase(group_.levels, &level); }
  TopLevel(const TopLevel&) = delete;
  TopLevel& operator=(const TopLevel&) = delete;

  Level level;

 private:
  Group& group_;
};

// Gives a permit back, if the semaphore is still there.
class TaskScript::Permit {
 public:
  Permit(TaskScript& script, int generation) noexcept : script_(script), generation_(generation) {}
  ~Permit() {
    if (script_.semaphore_.has_value() && script_.generation_ == generation_) {
      script_.semaphore_->release();
    }
  }
  Permit(const Permit&) = delete;
  Permit& operator=(const Permit&) = delete;

 private:
  TaskScript& script_;
  const int generation_;
};

TaskScript::TaskScript(Backend backend, Random& random) : random_(random), order_(random) {
  base_.emplace(options(backend));
  renew_what_is_waited_for();
  gone_ = false;
  for (int group = 0; group < kGroups; ++group) make_group(group);
}

TaskScript::~TaskScript() = default;

Options TaskScript::options(Backend backend) {
  Options chosen;
  chosen.backend = backend;
  chosen.time = &time_;
  if (random_.below(4) == 3) chosen.order = &order_;
  return chosen;
}

void TaskScript::expect(bool holds, const char* what) {
  if (!holds && wrong_.empty()) wrong_ = what;
}

std::string TaskScript::run(int choices) {
  for (int i = 0; i < choices && !random_.used_up() && wrong_.empty(); ++i) choose();
  ending_ = true;
  switch (random_.below(3)) {
    case 0:
      end_in_peace();
      break;
    case 1:
      base_.reset();
      for (const Group& group : groups_) expect(group.frames == 0, "the base destroys every task");
      break;
    default:
      for (int group = kGroups; group > 0; --group) destroy_group(group - 1);
      if (base_.has_value()) expect(base_->size() == 0, "no task leaves an event behind");
  }
  const std::size_t accounted = received_.size() + channel_->size();
  expect(accounted >= sent_, "no value is lost");
  expect(accounted <= static_cast<std::size_t>(next_value_), "no value is made up");
  bool any_left = false;
  for (const Group& group : groups_) any_left = any_left || group.frames > 0;
  if (!any_left) expect(semaphore_->available() == kPermits, "no permit is lost");
  return wrong_;
}

void TaskScript::choose() {
  const int group = static_cast<int>(random_.below(kGroups));
  switch (random_.below(12)) {
    case 0:
    case 1:
    case 2:
    case 3:
      spawn_top(group);
      break;
    case 4:
    case 5:
      loop(RunMode::nonblock);
      break;
    case 6:
    case 7:
      loop(RunMode::once);
      break;
    case 8:
      cancel_group(group);
      break;
    case 9:
      destroy_group(group);
      make_group(group);
      break;
    case 10: {
      std::ostringstream out;
      co::dump(*base_, out);
      break;
    }
    default:
      if (random_.one_in(3)) renew_what_is_waited_for();
  }
}

void TaskScript::loop(RunMode mode) {
  try {
    base_->loop(mode);
  } catch (const Boom&) {
  } catch (const std::system_error& error) {
    expect(error.code() == std::errc::operation_canceled || error.code() == std::errc::timed_out ||
               error.code() == std::errc::broken_pipe ||
               error.code() == std::errc::device_or_resource_busy,
           "only what tasks throw leaves the loop");
  }
}

void TaskScript::make_group(int group) {
  auto& tasks = groups_[static_cast<std::size_t>(group)].tasks;
  if (random_.one_in(3)) {
    tasks.emplace(*base_, [this, group](const std::exception_ptr&) {
      if (random_.below(3) == 2) spawn_top(group);
    });
  } else {
    tasks.emplace(*base_);
  }
}

bool TaskScript::may_destroy(int group) const {
  return std::find(busy_.begin(), busy_.end(), group) == busy_.end();
}

void TaskScript::destroy_group(int group) {
  if (!may_destroy(group)) return;
  Group& chosen = groups_[static_cast<std::size_t>(group)];
  busy_.push_back(group);
  chosen.tasks.reset();
  busy_.pop_back();
  gone_ = true;
  expect(chosen.frames == 0, "a group destroys all of its tasks");
}

void TaskScript::cancel_group(int group) {
  Group& chosen = groups_[static_cast<std::size_t>(group)];
  if (!chosen.tasks.has_value()) return;
  chosen.tasks->cancel();
  for (Level* const level : chosen.levels) level->cancelled = true;
}

void TaskScript::spawn_top(int group) {
  Group& chosen = groups_[static_cast<std::size_t>(group)];
  if (!chosen.tasks.has_value() || made_ > kMostFrames) return;
  busy_.push_back(group);
  chosen.tasks->spawn(top(group));
  busy_.pop_back();
}

void TaskScript::renew_what_is_waited_for() {
  gone_ = true;
  ++generation_;
  semaphore_.reset();
  semaphore_.emplace(kPermits);
  notification_.reset();
  notification_.emplace();
  if (!channel_.has_value()) channel_.emplace(random_.below(3));
}

// Cancels everything, and lets every task end.
void TaskScript::end_in_peace() {
  constexpr int kIterations = 2'000;  // far more than are needed
  bool any_left = true;
  for (int i = 0; i < kIterations && any_left; ++i) {
    any_left = false;
    for (int group = 0; group < kGroups; ++group) {
      cancel_group(group);
      const auto& tasks = groups_[static_cast<std::size_t>(group)].tasks;
      any_left = any_left || (tasks.has_value() && tasks->size() > 0);
    }
    loop(RunMode::once);
  }
  expect(!any_left, "every task ends when it is cancelled");
  for (const Group& group : groups_) expect(group.frames == 0, "a task that ended is destroyed");
  expect(base_->size() == 0, "no task leaves an event behind");
}

// What a destructor in a task may do.
void TaskScript::mischief(int group) {
  if (random_.below(16) < 12) return;
  busy_.push_back(group);
  switch (random_.below(4)) {
    case 0:
      if (notification_.has_value()) notification_->notify_one();
      break;
    case 1:
      if (notification_.has_value()) notification_->notify_all();
      break;
    case 2:
      cancel_group((group + 1) % kGroups);
      break;
    default:
      if (base_.has_value() && !ending_) spawn_top((group + 1) % kGroups);
  }
  busy_.pop_back();
}

Task<> TaskScript::top(int group) {
  const bool cancelled = co_await co::cancelled();
  const TopLevel own(groups_[static_cast<std::size_t>(group)], cancelled);
  Frame frame(*this, group, nullptr);
  co_await life(group, 0, own.level, &frame);
}

// Acts a few times. What is thrown there it passes on, or not.
Task<int> TaskScript::life(int group, int depth, const Level& level, Frame* from) {
  Frame frame(*this, group, from);
  const std::size_t acts = random_.below(5);
  for (std::size_t i = 0; i < acts; ++i) {
    std::exception_ptr thrown;
    std::error_code code;
    try {
      co_await act(group, depth, level, frame);
    } catch (const Boom&) {
      thrown = std::current_exception();
    } catch (const std::system_error& error) {
      thrown = std::current_exception();
      code = error.code();
    }
    if (code == std::errc::operation_canceled) {
      const bool cancelled = co_await co::cancelled();
      expect(cancelled || gone_, "only a wait of a cancelled task is cancelled");
    }
    if (level.holds()) {
      const bool cancelled = co_await co::cancelled();
      expect(cancelled, "a task knows that it was cancelled");
    }
    if (thrown != nullptr && random_.below(3) > 0) std::rethrow_exception(thrown);
  }
  co_return depth;
}

Task<> TaskScript::act(int group, int depth, const Level& level, Frame& frame) {
  const bool may_start = made_ < kMostFrames && depth < kDeepest;
  const int other = (group + 1 + static_cast<int>(random_.below(kGroups - 1))) % kGroups;
  switch (random_.below(18)) {
    case 0:
    case 1:
      co_await pause(level);
      break;
    case 2:
      co_await takes_permit(level);
      break;
    case 3:
      co_await sends();
      break;
    case 4:
      co_await receives();
      break;
    case 5:
      co_await notification_->wait();
      break;
    case 6:
      notification_->notify_one();
      break;
    case 7:
      throw Boom();
    case 8:
      if (may_start) co_await life(group, depth + 1, level, &frame);
      break;
    case 9:
      if (may_start) co_await limited(group, depth, level, frame);
      break;
    case 10:
      if (may_start) co_await tried(group, depth, level, frame);
      break;
    case 11:
      if (may_start) co_await shielded(group, depth, frame);
      break;
    case 12:
      if (may_start) co_await all(group, depth, level, frame);
      break;
    case 13:
      if (may_start) co_await any(group, depth, level, frame);
      break;
    case 14:
      if (may_start) co_await group_of_its_own(group, depth, level, frame);
      break;
    case 15:
      busy_.push_back(group);
      spawn_top(other);
      busy_.pop_back();
      break;
    case 16:
      cancel_group(static_cast<int>(random_.below(kGroups)));
      break;
    default:
      if (random_.one_in(2)) {
        if (other < group) co_await joins(other);
      } else {
        busy_.push_back(group);
        if (may_destroy(other) && !ending_) {
          destroy_group(other);
          make_group(other);
        }
        busy_.pop_back();
      }
  }
}

Task<> TaskScript::pause(const Level& level) {
  const bool cancelled = level.holds();
  const TimePoint began = time_.now();
  if (random_.one_in(2)) {
    co_await co::yield();
  } else {
    const Duration delay = 1ms * static_cast<int>(random_.below(8));
    co_await co::sleep(delay);
    expect(time_.now() - began >= delay, "a sleep is never shorter");
  }
  expect(!cancelled, "a wait of a cancelled task fails");
}

Task<> TaskScript::takes_permit(const Level& level) {
  const int generation = generation_;
  co_await semaphore_->acquire();
  const Permit permit(*this, generation);
  co_await pause(level);
}

Task<> TaskScript::sends() {
  const int number = next_value_++;
  const Value value{number};
  co_await channel_->send(value);
  ++sent_;
}

Task<> TaskScript::receives() {
  const std::optional<Value> value = co_await channel_->receive();
  if (value.has_value()) {
    expect(received_.insert(value->number).second, "no value is received twice");
  }
}

Task<> TaskScript::limited(int group, int depth, const Level& level, Frame& frame) {
  Level inner;
  inner.outer = &level;
  const Duration limit = 1ms * static_cast<int>(random_.below(8));
  const TimePoint began = time_.now();
  const bool cancelled = level.holds();
  bool timed_out = false;
  try {
    co_await co::with_timeout(limit, life(group, depth + 1, inner, &frame));
  } catch (const std::system_error& error) {
    timed_out = error.code() == std::errc::timed_out;
  }
  if (timed_out) {
    expect(time_.now() - began >= limit, "a limit passes no sooner than it says");
    expect(!cancelled, "a limit hides no cancellation");
  }
}

Task<> TaskScript::tried(int group, int depth, const Level& level, Frame& frame) {
  Level inner;
  inner.outer = &level;
  const Duration limit = 1ms * static_cast<int>(random_.below(8));
  const TimePoint began = time_.now();
  const bool cancelled = level.holds();
  const std::optional<int> value =
      co_await co::try_with_timeout(limit, life(group, depth + 1, inner, &frame));
  if (!value.has_value()) {
    expect(time_.now() - began >= limit, "a limit passes no sooner than it says");
    expect(!cancelled, "a limit hides no cancellation");
  }
}

Task<> TaskScript::shielded(int group, int depth, Frame& frame) {
  const Level free;
  Level inner;
  inner.outer = &free;
  const Duration limit = 1ms * static_cast<int>(1 + random_.below(8));
  co_await co::shield(co::try_with_timeout(limit, life(group, depth + 1, inner, &frame)));
}

Task<> TaskScript::all(int group, int depth, const Level& level, Frame& frame) {
  Level first;
  Level second;
  first.outer = second.outer = &level;
  const std::tuple<int, int> both = co_await co::when_all(life(group, depth + 1, first, &frame),
                                                          life(group, depth + 1, second, &frame));
  expect(std::get<0>(both) == depth + 1 && std::get<1>(both) == depth + 1, "values are kept");
}

Task<> TaskScript::any(int group, int depth, const Level& level, Frame& frame) {
  Level first;
  Level second;
  first.outer = second.outer = &level;
  const co::Any<int, int> ended = co_await co::when_any(life(group, depth + 1, first, &frame),
                                                        life(group, depth + 1, second, &frame));
  const std::optional<int> value =
      ended.first == 0 ? std::get<0>(ended.values) : std::get<1>(ended.values);
  expect(value == depth + 1, "the value of the first is there");
}

Task<> TaskScript::child_of_group(int group, int depth, const Level& level, Frame* from) {
  co_await life(group, depth, level, from);
}

Task<> TaskScript::group_of_its_own(int group, int depth, const Level& level, Frame& frame) {
  Base& here = co_await co::base();
  bool joining = false;
  std::array<Level, 3> levels;
  TaskGroup own(here);
  const std::size_t count = random_.below(levels.size() + 1);
  for (std::size_t i = 0; i < count; ++i) {
    levels[i].outer = &level;
    levels[i].passes_on = &joining;
    busy_.push_back(group);
    own.spawn(child_of_group(group, depth + 1, levels[i], &frame));
    busy_.pop_back();
  }
  if (random_.one_in(4)) {
    own.cancel();
    for (Level& each : levels) each.cancelled = true;
  }
  if (random_.below(4) < 3) {
    joining = true;
    co_await own.join();
    expect(own.size() == 0, "join() waits for every task");
  }
}

Task<> TaskScript::joins(int group) {
  auto& tasks = groups_[static_cast<std::size_t>(group)].tasks;
  if (tasks.has_value()) co_await tasks->join();
}

}  // namespace event_cpp::test

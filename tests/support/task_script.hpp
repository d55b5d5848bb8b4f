// A random life of tasks, groups, and what they wait for, with an oracle that knows what must hold.
#pragma once

#include <array>
#include <cstddef>
#include <optional>
#include <set>
#include <string>
#include <system_error>
#include <vector>

#include "event/co.hpp"
#include "event/event.hpp"
#include "support/seeded_random.hpp"

namespace event_cpp::test {

// What must hold:
//   - a frame is destroyed once, after those that it has started
//   - nothing of a group is left when it is destroyed, nor of any when the base is
//   - a wait of a task that is cancelled fails, and with operation_canceled only there
//   - a limit passes no sooner than it says
//   - no permit and no value is lost, and no value is received twice
//   - when everything is cancelled, every task ends
class TaskScript {
 public:
  TaskScript(Backend backend, Random& random);
  ~TaskScript();
  TaskScript(const TaskScript&) = delete;
  TaskScript& operator=(const TaskScript&) = delete;

  // Makes so many choices outside of tasks, and then ends all. Returns what was wrong; else
  // nothing.
  std::string run(int choices);

 private:
  static constexpr int kGroups = 4;
  static constexpr int kMostFrames = 400;  // in one life
  static constexpr int kDeepest = 6;
  static constexpr std::size_t kPermits = 2;

  // What a task throws.
  struct Boom {};

  // Whether tasks must know that they are cancelled: one for each that can be cancelled by itself.
  struct Level {
    const Level* outer = nullptr;
    const bool* passes_on = nullptr;  // whether a cancellation of `outer` counts; null: it does
    bool cancelled = false;

    bool holds() const noexcept {
      return cancelled ||
             (outer != nullptr && (passes_on == nullptr || *passes_on) && outer->holds());
    }
  };

  // In each coroutine: counts it, and does some mischief when it is destroyed.
  class Frame;
  class TopLevel;
  class Permit;

  struct Value {
    int number;
  };

  class ByRandom : public event_cpp::Order {
   public:
    explicit ByRandom(Random& random) noexcept : random_(random) {}
    std::uint32_t pick(std::uint32_t n) override {
      return static_cast<std::uint32_t>(random_.below(n));
    }

   private:
    Random& random_;
  };

  struct Group {
    std::optional<co::TaskGroup> tasks;
    std::vector<Level*> levels;  // of its tasks
    int frames = 0;              // all that belong to it
  };

  Options options(Backend backend);
  void expect(bool holds, const char* what);

  void choose();
  void loop(RunMode mode);
  void make_group(int group);
  void destroy_group(int group);
  void cancel_group(int group);
  void spawn_top(int group);
  void renew_what_is_waited_for();
  void end_in_peace();
  void mischief(int group);
  bool may_destroy(int group) const;

  // The tasks. `from` is what has started it.
  co::Task<> top(int group);
  co::Task<int> life(int group, int depth, const Level& level, Frame* from);
  co::Task<> act(int group, int depth, const Level& level, Frame& frame);
  co::Task<> child_of_group(int group, int depth, const Level& level, Frame* from);
  co::Task<> pause(const Level& level);
  co::Task<> takes_permit(const Level& level);
  co::Task<> sends();
  co::Task<> receives();
  co::Task<> limited(int group, int depth, const Level& level, Frame& frame);
  co::Task<> tried(int group, int depth, const Level& level, Frame& frame);
  co::Task<> shielded(int group, int depth, Frame& frame);
  co::Task<> all(int group, int depth, const Level& level, Frame& frame);
  co::Task<> any(int group, int depth, const Level& level, Frame& frame);
  co::Task<> group_of_its_own(int group, int depth, const Level& level, Frame& frame);
  co::Task<> joins(int group);

  Random& random_;
  std::string wrong_;
  ManualTime time_;
  ByRandom order_;
  std::optional<Base> base_;

  std::optional<co::Channel<Value>> channel_;
  std::optional<co::Semaphore> semaphore_;
  std::optional<co::Notification> notification_;
  int generation_ = 0;  // of these

  std::array<Group, kGroups> groups_;
  std::vector<int> busy_;  // groups that have a task on the stack, or are being destroyed
  int made_ = 0;           // frames
  int next_value_ = 0;
  std::set<int> received_;
  std::size_t sent_ = 0;
  bool gone_ = false;  // something that was waited for has been destroyed
  bool ending_ = false;
};

}  // namespace event_cpp::test

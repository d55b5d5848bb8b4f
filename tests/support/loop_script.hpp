// A random program: everything that one may do with a base and its events, in callbacks and
// outside, compared with a model that knows what must fire and what may.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <system_error>

#include "event/event.hpp"
#include "support/model_events.hpp"
#include "support/model_files.hpp"
#include "support/seeded_random.hpp"

namespace event_cpp::test {

class LoopScript {
 public:
  LoopScript(Backend backend, Random& random);

  // So many runs of the base with something done before each, or fewer if the choices are used up.
  // Returns what is wrong, with what was done last; an empty string if nothing is.
  std::string run(int runs);

 private:
  struct Thrown {};

  // Says when the base moves the time.
  class Time final : public ManualTime {
   public:
    explicit Time(LoopScript& script) : script_(script) {}
    bool skip_to(TimePoint deadline) noexcept override {
      script_.on_skip(deadline);
      return ManualTime::skip_to(deadline);
    }

   private:
    LoopScript& script_;
  };

  // loop_script.cpp: running the base, and what happens meanwhile
  static Options options(Backend backend, Random& random, Time& time);
  void run_all(int runs);
  void run_base();
  RunMode any_mode();
  void attach_bound();
  void expect_end(RunMode mode, bool had_stop, bool thrown);
  bool alive() const;
  void sync();
  void on_skip(TimePoint to);
  void check_state();
  void check_event(int id, const ModelEvent& model);
  void check_next_timeout();
  void fire(int id, Events fired);
  void run_posted(Priority priority, int number);
  void run_hook(int id, Hook::When when);
  void count_callback();
  void act_inside(int self, std::size_t most);

  // loop_script_acts.cpp: what a program does to the base
  void act(int self);
  void act_on_base(std::size_t choice);
  void act_on_files(std::size_t choice);
  void act_on_event(int id);
  void close(int number, std::size_t choice);
  void post();
  void make_hook();
  void raise();
  void stop(bool now);
  void own();
  void look_around();
  void fork();
  void begin_child();
  [[noreturn]] void end_child();

  // loop_script_events.cpp: what it does to an event
  void make_event();
  void choose(int& fd, Events& mask);
  void attach(int id);
  void attach_wrongly(int id);
  std::error_code expected_of_attach(const ModelEvent& model, int file) const;
  void detach(int id);
  void destroy(int id);
  void rearm(int id);
  void set_priority(int id);
  void keep_alive(int id);
  void activate(int id);
  void assign(int id);
  void modify(int id);

  int any_event();
  Duration duration();
  static std::string name(int id) { return "event " + std::to_string(id); }
  void note(const std::string& what);
  void expect(bool right, const std::string& who, const std::string& what);
  // Spells the name only if something is wrong: a run asks this a hundred thousand times.
  void expect(bool right, int id, const char* what) {
    if (!right) expect(right, name(id), what);
  }
  void expect_nothing(const std::string& who, const std::string& wrong) {
    expect(wrong.empty(), who, wrong);
  }

  Random& random_;
  Time time_{*this};
  ModelFiles files_;
  const Options options_;
  const bool sliced_;  // the base looks at the kernel in the middle of a batch, too
  std::optional<Base> base_;
  std::map<int, std::shared_ptr<Event>> events_;
  std::shared_ptr<Event> bound_;  // ends a run that has nothing else to wait for
  std::map<int, std::unique_ptr<Hook>> hooks_;
  ModelEvents models_;
  ModelTurn turn_{sliced_};

  // Of the run that is under way.
  RunMode mode_ = RunMode::nonblock;
  std::size_t callbacks_ = 0;
  std::uint64_t looks_ = 0;  // as counted by the base
  bool looked_ = false;
  bool skipped_ = false;   // the time was moved since the last look
  bool idle_ran_ = false;  // since then
  bool stopping_ = false;  // was asked for: also before the run
  bool stopping_now_ = false;
  bool throwing_ = false;

  bool forked_ = false;
  bool in_child_ = false;
  int run_ = 0;
  int next_id_ = 1;
  int next_post_ = 0;
  std::deque<std::string> log_;
  std::string wrong_;
};

}  // namespace event_cpp::test

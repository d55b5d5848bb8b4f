// Random scripts of everything a program may do with events, in callbacks and outside, compared
// with a model that knows what must fire in each iteration.
#include <array>
#include <deque>
#include <iterator>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "support/every_backend.hpp"
#include "support/model_events.hpp"
#include "support/model_files.hpp"
#include "support/process.hpp"

namespace event::test {
namespace {

constexpr std::size_t kMostEvents = 24;
constexpr std::size_t kMostFiles = 10;
constexpr int kIterations = 300;

class Script {
 public:
  Script(const Options& options, ManualTime& time, unsigned seed)
      : time_(time),
        random_(seed),
        files_(random_),
        base_(std::in_place, options),
        kernel_holds_files_(base_->backend() == Backend::io_uring) {
    for (int i = 0; i < 4; ++i) files_.open();
  }

  // Returns what is wrong; an empty string if nothing is.
  std::string run() {
    for (iteration_ = 0; iteration_ < kIterations && wrong_.empty(); ++iteration_) {
      for (std::size_t i = random_.below(12); i > 0; --i) act(-1);
      if (random_.one_in(2)) time_.advance(duration());
      iterate();
    }
    if (random_.one_in(2)) base_.reset();
    return wrong_;
  }

 private:
  void iterate() {
    turn_.begin(models_, files_, time_.now());
    for (std::size_t p = 0; p < 3; ++p) due_posts_[p] = std::exchange(posts_[p], {});
    callbacks_ = 0;
    note("iteration " + std::to_string(iteration_));
    const std::size_t count = base_->loop(Loop::nonblock);
    expect(count == callbacks_, "the base", "counts " + std::to_string(count) + " callbacks");
    expect_nothing("at the end", turn_.end());
    for (const auto& due : due_posts_) expect(due.empty(), "a posted function", "does not run");
    check_state();
  }

  void check_state() {
    std::size_t attached = 0;
    for (const auto& [id, model] : models_) {
      const Event& event = *events_.at(id);
      attached += model.attached ? 1 : 0;
      expect(event.attached() == model.attached, name(id), "is attached or not");
      expect(event.deadline() == model.deadline, name(id), "has another deadline");
      expect(event.timeout() == model.timeout, name(id), "has another timeout");
      expect(event.priority() == model.priority, name(id), "has another priority");
      expect(event.fd() == model.fd, name(id), "has another descriptor");
    }
    expect(base_->size() == attached, "the base", "has another size");
  }

  // Callbacks.

  void fire(int id, Events fired) {
    ++callbacks_;
    const auto found = models_.find(id);
    note(name(id) + " fires for " + to_string(fired));
    if (found == models_.end()) return expect(false, name(id), "fires after it was destroyed");
    expect_nothing(name(id), turn_.ran(id, found->second, fired));
    for (std::size_t i = random_.below(4); i > 0; --i) act(id);
  }

  void run_posted(std::size_t priority, int number) {
    ++callbacks_;
    auto& due = due_posts_[priority];
    if (due.empty() || due.front() != number) return expect(false, "a posted function", "is early");
    due.pop_front();
    expect_nothing("a posted function", turn_.ran_posted(Priority(priority)));
    for (std::size_t i = random_.below(3); i > 0; --i) act(-1);
  }

  // One thing that a program may do; `self` is the event whose callback runs, or -1.
  void act(int self) {
    if (!wrong_.empty()) return;
    const std::size_t choice = random_.below(100);
    if (choice < 35) return act_on_files(choice);
    if (choice < 45) return make_event();
    if (choice < 49) return post();
    if (choice < 51) return time_.advance(duration() / 8);
    if (models_.empty()) return;
    act_on(self >= 0 && models_.contains(self) && random_.one_in(4) ? self : any_event());
  }

  void act_on(int id) {
    switch (random_.below(12)) {
      case 0:
        return destroy(id);
      case 1:
      case 2:
        return detach(id);
      case 3:
        return rearm(id);
      case 4:
        return set_priority(id);
      case 5:
        return activate(id);
      case 6:
        return assign(id);
      default:
        return attach(id);
    }
  }

  void act_on_files(std::size_t choice) {
    if (files_.size() < kMostFiles && (choice < 6 || files_.size() == 0)) return files_.open();
    if (files_.size() == 0) return;
    ModelFile& file = files_.any();
    if (choice < 14) return file.feed();
    if (choice < 20) return file.empty();
    if (choice < 22) return file.end_peer();
    if (choice < 24) return file.lose_peer();
    close(file.number(), choice);
  }

  // Half of the time as one shall, detached first; half of the time not.
  void close(int number, std::size_t choice) {
    const bool properly = choice < 30;
    const bool keep = choice % 3 == 1;
    note("close " + std::to_string(number) + (properly ? "" : " though it is watched"));
    for (auto& [id, model] : models_) {
      if (!model.attached || model.fd != number || !model.on_descriptor()) continue;
      if (properly) {
        detach(id);
      } else {
        model.haunted = keep || kernel_holds_files_ || (model.haunted && model.astray);
        model.astray = true;
      }
    }
    switch (choice % 3) {
      case 0:
        return files_.close(number);
      case 1:
        return files_.close_but_keep(number);
      default:
        return files_.replace(number);
    }
  }

  // Events.

  void make_event() {
    if (models_.size() >= kMostEvents) return;
    const int id = next_id_++;
    ModelEvent model;
    choose(model.fd, model.mask);
    model.priority = Priority(random_.below(3));
    events_[id] = std::make_unique<Event>(
        *base_, model.fd, model.mask, [this, id](Events fired) { fire(id, fired); },
        model.priority);
    models_[id] = model;
    attach(id);
  }

  void choose(int& fd, Events& mask) {
    mask = random_.one_in(2) ? Events::persist : Events::none;
    if (random_.one_in(4)) mask |= Events::timeout;
    if (random_.one_in(4) || files_.size() == 0) {
      fd = -1;
      mask |= Events::timeout;
    } else {
      fd = files_.any().number();
      for (const Events what : {Events::read, Events::write, Events::closed}) {
        if (random_.one_in(2)) mask |= what;
      }
      if (!any(mask & kDescriptorConditions)) mask |= Events::read;
    }
  }

  void attach(int id) {
    ModelEvent& model = models_[id];
    Event& event = *events_[id];
    const Duration timeout = random_.one_in(3) ? duration() : Duration::zero();
    if (model.attached) {
      return expect(event.try_attach(timeout) == Errc::already_attached, name(id),
                    "attaches twice");
    }
    const int file = files_.id_of(model.fd);
    note("attach " + name(id) + " to " + std::to_string(model.fd) + " for " +
         to_string(model.mask) + " and " + std::to_string(timeout.count()) + "ns");
    if (model.on_descriptor() && file < 0 && link_of(model.fd) != "") return;  // the base's own now
    if (model.on_descriptor() && model.file >= 0 && model.file != file) {
      event.assign(model.fd, model.mask);
      model.assign(model.fd, model.mask);
      turn_.forget(id);
    }
    const std::error_code error = event.try_attach(timeout);
    if (model.on_descriptor() && file < 0) {
      return expect(error == system_error(EBADF), name(id), "attaches to a closed descriptor");
    }
    expect(!error, name(id), "does not attach: " + error.message());
    model.attach(time_.now(), timeout, next_attach_++, file);
  }

  void detach(int id) {
    ModelEvent& model = models_[id];
    note("detach " + name(id));
    expect(events_[id]->detach() == model.attached, name(id), "says it was attached or not");
    model.detach();
    turn_.forget(id);
  }

  void destroy(int id) {
    note("destroy " + name(id));
    turn_.forget(id);
    models_.erase(id);
    const auto event = std::move(events_[id]);
    events_.erase(id);
  }

  void rearm(int id) {
    ModelEvent& model = models_[id];
    if (!model.attached) return;
    const Duration timeout = random_.one_in(3) ? Duration::zero() : duration();
    note("rearm " + name(id) + " to " + std::to_string(timeout.count()) + "ns");
    events_[id]->rearm(timeout);
    model.rearm(time_.now(), timeout);
    turn_.forget_timeout(id);
  }

  void set_priority(int id) {
    const auto priority = static_cast<Priority>(random_.below(3));
    note("set priority of " + name(id));
    events_[id]->set_priority(priority);
    models_[id].priority = priority;
  }

  void activate(int id) {
    if (turn_.is_due(id)) return;  // it runs in this iteration, and would be told then or later
    const Events what[] = {Events::read, Events::write, Events::timeout, Events::closed};
    const Events chosen = what[random_.below(4)];
    note("activate " + name(id) + " for " + to_string(chosen));
    events_[id]->activate(chosen);
    models_[id].activate(chosen);
  }

  void assign(int id) {
    ModelEvent& model = models_[id];
    int fd = -1;
    Events mask = Events::none;
    choose(fd, mask);
    if (model.attached) {
      return expect(thrown_by([&] { events_[id]->assign(fd, mask); }) == Errc::already_attached,
                    name(id), "is assigned while it is attached");
    }
    events_[id]->assign(fd, mask);
    note("assign " + name(id) + " to " + std::to_string(fd) + " for " + to_string(mask));
    model.assign(fd, mask);
    turn_.forget(id);
  }

  void post() {
    const std::size_t priority = random_.below(3);
    const int number = next_post_++;
    posts_[priority].push_back(number);
    base_->post([this, priority, number] { run_posted(priority, number); }, Priority(priority));
  }

  int any_event() {
    return std::next(models_.begin(), static_cast<long>(random_.below(models_.size())))->first;
  }

  // Not a round number, so that no two deadlines are equal by chance.
  Duration duration() { return Duration(random_.below(20'000'003) + 1); }

  static std::string name(int id) { return "event " + std::to_string(id); }

  // What was done last is part of a failure.
  void note(const std::string& what) {
    log_.push_back(what);
    if (log_.size() > 40) log_.pop_front();
  }

  void expect(bool right, const std::string& who, const std::string& what) {
    if (right || !wrong_.empty()) return;
    wrong_ = "iteration " + std::to_string(iteration_) + ": " + who + " " + what + "; after:";
    for (const std::string& each : log_) wrong_ += "\n  " + each;
  }
  void expect_nothing(const std::string& who, const std::string& wrong) {
    expect(wrong.empty(), who, wrong);
  }

  ManualTime& time_;
  Random random_;
  ModelFiles files_;
  std::optional<Base> base_;
  const bool kernel_holds_files_;  // that were closed while watched, as a duplicate would
  std::map<int, std::unique_ptr<Event>> events_;
  std::map<int, ModelEvent> models_;
  ModelTurn turn_;
  std::array<std::deque<int>, 3> posts_, due_posts_;
  std::size_t callbacks_ = 0;
  int iteration_ = 0, next_id_ = 0, next_post_ = 0;
  unsigned next_attach_ = 0;
  std::deque<std::string> log_;
  std::string wrong_;
};

TEST_P(EveryBackend, DoesWhatTheModelSaysHoweverAProgramMixesItsCalls) {
  for (unsigned seed = 1; seed <= 30; ++seed) {
    Script script(options(), time, seed);

    EXPECT_EQ(script.run(), "") << "with seed " << seed;
  }
}

}  // namespace
}  // namespace event::test

// What a random program does to the base, and to the files that its events watch.
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <sstream>

#include "support/errors.hpp"
#include "support/loop_script.hpp"
#include "support/printing.hpp"
#include "support/uninterrupted.hpp"

namespace event_cpp::test {
namespace {

constexpr std::size_t kMostFiles = 10;
constexpr std::size_t kMostHooks = 4;
constexpr std::size_t kMostOwned = 8;
constexpr unsigned kSecondsOfChild = 50;

}  // namespace

// One thing that a program may do; `self` is the event whose callback runs, or -1.
void LoopScript::act(int self) {
  if (!wrong_.empty()) return;
  const std::size_t choice = random_.below(100);
  if (choice < 30) return act_on_files(choice);
  if (choice < 39) return make_event();
  if (choice < 56) return act_on_base(choice);
  if (events_.empty()) return;
  act_on_event(self >= 0 && events_.contains(self) && random_.one_in(4) ? self : any_event());
}

void LoopScript::act_on_base(std::size_t choice) {
  if (choice < 43) return post();
  if (choice < 45) return time_.advance(duration() / 8);
  if (choice < 47) return make_hook();
  if (choice < 49) return raise();
  if (choice < 51) return own();
  if (choice < 54) return look_around();
  if (choice == 54) return stop(random_.one_in(2));
  if (random_.below(4) == 3) fork();
}

void LoopScript::act_on_event(int id) {
  switch (random_.below(14)) {
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
    case 13:
      return modify(id);
    case 7:
      return random_.one_in(2) ? keep_alive(id) : attach_wrongly(id);
    default:
      return attach(id);
  }
}

void LoopScript::act_on_files(std::size_t choice) {
  if (files_.size() < kMostFiles && (choice < 5 || files_.size() == 0)) return files_.open();
  if (files_.size() == 0) return;
  ModelFile& file = files_.any();
  if (choice >= 18 && choice < 22 && in_child_) return;  // the parent has a hand in that
  if (choice < 22) {
    const char* const what = choice < 13   ? "feed "
                             : choice < 18 ? "empty "
                             : choice < 20 ? "end the peer of "
                                           : "lose the peer of ";
    note(what + std::to_string(file.number()));
  }
  if (choice < 13) return file.feed();
  if (choice < 18) return file.empty();
  if (choice < 20) return file.end_peer();
  if (choice < 22) return file.lose_peer();
  close(file.number(), choice);
}

// Half of the time as one shall, detached first; half of the time not.
void LoopScript::close(int number, std::size_t choice) {
  const bool properly = choice < 26;
  const bool keep = choice % 3 == 1;
  // What identifies a regular file may be given to the next one.
  const bool lives_on = keep || files_.find(number)->kind() == ModelFile::Kind::regular;
  note("close " + std::to_string(number) + (properly ? "" : " though it is watched") +
       (keep              ? ", with a duplicate"
        : choice % 3 == 2 ? ", for another file"
                          : ""));
  for (auto& [id, model] : models_) {
    if (!model.attached || model.fd != number || !model.on_descriptor()) continue;
    if (properly && events_.contains(id)) {
      detach(id);
    } else {
      // A file that was open before a fork is also open in the parent.
      model.haunted = lives_on || in_child_ || (model.haunted && model.astray);
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

void LoopScript::post() {
  const auto priority = static_cast<Priority>(random_.below(3));
  const int number = next_post_++;
  turn_.post(priority, number);
  note("post function " + std::to_string(number));
  base_->post([this, priority, number] { run_posted(priority, number); }, priority);
}

// Or takes one away.
void LoopScript::make_hook() {
  if (hooks_.size() >= kMostHooks || (!hooks_.empty() && random_.one_in(2))) {
    const auto any = std::next(hooks_.begin(), static_cast<long>(random_.below(hooks_.size())));
    note("destroy hook " + std::to_string(any->first));
    const auto hook = std::move(any->second);
    hooks_.erase(any);
    return;
  }
  const int id = next_id_++;
  const auto when = static_cast<Hook::When>(random_.below(3));
  note("make hook " + std::to_string(id));
  hooks_[id] = std::make_unique<Hook>(*base_, when, [this, id, when] { run_hook(id, when); });
}

// One that is ignored if nobody waits for it.
void LoopScript::raise() {
  const int signo = random_.one_in(2) ? SIGURG : SIGWINCH;
  const bool awaited = std::any_of(models_.begin(), models_.end(), [signo](const auto& each) {
    return each.second.attached && each.second.on_signal() && each.second.fd == signo;
  });
  note("raise " + std::to_string(signo));
  if (awaited) turn_.raise(signo);
  ::raise(signo);
}

void LoopScript::stop(bool now) {
  note(now ? "stop now" : "stop");
  stopping_ = true;
  stopping_now_ = stopping_now_ || now;
  if (now) {
    base_->stop_now();
  } else {
    base_->stop();
  }
}

// An event that the base owns.
void LoopScript::own() {
  const auto owned = std::count_if(models_.begin(), models_.end(), [](const auto& each) {
    return each.second.kind == ModelEvent::Kind::owned;
  });
  if (static_cast<std::size_t>(owned) >= kMostOwned) return;
  const int id = next_id_++;
  const auto callback = [this, id](Events fired) { fire(id, fired); };
  const Duration timeout = random_.one_in(2) ? duration() : Duration::zero();
  ModelEvent model;
  model.kind = ModelEvent::Kind::owned;
  if (random_.one_in(2) || files_.size() == 0) {
    model.mask = Events::timeout;
    base_->after(timeout, callback);
  } else {
    choose(model.fd, model.mask);
    model.mask &= ~Events::edge;
    base_->once(model.fd, model.mask, timeout, callback);
    model.mask &= ~Events::persist;
    if (model.fd >= 0 && timeout == Duration::zero()) model.mask &= ~Events::timeout;
  }
  note("own " + name(id) + " on " + std::to_string(model.fd) + " for " + to_string(model.mask));
  model.attach(time_.now(), timeout, timeout, model.on_descriptor() ? files_.id_of(model.fd) : -1,
               turn_.count());
  models_[id] = model;
}

// What changes nothing.
void LoopScript::look_around() {
  switch (random_.below(5)) {
    case 0: {
      if (!base_->running()) return;
      const auto again = [this] { static_cast<void>(base_->loop(RunMode::nonblock)); };
      return expect(thrown_by(again) == Errc::reentered, "the base", "runs in itself");
    }
    case 1: {
      std::ostringstream dump;
      base_->dump(dump);
      const std::string text = dump.str();
      const auto lines = static_cast<std::size_t>(std::count(text.begin(), text.end(), '\n'));
      return expect(lines == base_->size(), "the base", "shows too much, or too little:\n" + text);
    }
    case 2:
      return base_->reserve(random_.below(40), random_.below(40));
    case 3:
      if (!base_->running()) check_state();
      return;
    default:
      if (random_.below(8) == 7) static_cast<void>(base_->fd());
  }
}

// The child goes on with the rest of the script, and then the parent does.
void LoopScript::fork() {
  if (forked_) return;
  forked_ = true;
  note("fork");
  std::fflush(nullptr);
  const pid_t child = ::fork();
  if (child == 0) return begin_child();
  int status = 0;
  const auto wait = [&] { return ::waitpid(child, &status, 0); };
  const bool ended = child > 0 && uninterrupted(wait) == child;
  expect(ended && status == 0, "the child of a fork", "fails: status " + std::to_string(status));
  files_.restore();
}

void LoopScript::begin_child() {
  in_child_ = true;
  ::alarm(kSecondsOfChild);
  for (std::size_t i = random_.below(3); i > 0 && !events_.empty(); --i) {
    random_.one_in(2) ? detach(any_event()) : destroy(any_event());
  }
  if (!base_->running() && random_.below(4) == 3) {
    base_.reset();
    end_child();
  }
  base_->after_fork();
  turn_.forget_signals();
  // The new kernel side knows files by their numbers alone.
  for (auto& [id, model] : models_) model.haunted = model.haunted || model.astray;
}

void LoopScript::end_child() {
  if (!wrong_.empty()) std::fprintf(stderr, "in a child: %s\n", wrong_.c_str());
  ::_exit(wrong_.empty() ? 0 : 1);
}

}  // namespace event_cpp::test

// Children that a debugger traces which is not their parent: they have ended, and cannot be reaped
// before the debugger has seen it.
#if defined(__linux__)

#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/wait.h>

#include <fstream>
#include <string>
#include <thread>

#include "support/children.hpp"

namespace event_cpp::test {
namespace {

// A child process of a status, and another one that traces it.
class TracedProcess {
 public:
  explicit TracedProcess(int status) {
    traced_ = ::fork();
    if (traced_ == 0) {
      ::prctl(PR_SET_PTRACER, PR_SET_PTRACER_ANY);
      write_bytes(ready_.writer);
      await(end_.reader);
      ::_exit(status);
    }
    await(ready_.reader);
    tracer_ = ::fork();
    if (tracer_ == 0) {
      ::ptrace(PTRACE_SEIZE, traced_, nullptr, nullptr);
      write_bytes(ready_.writer);
      await(let_go_.reader);
      ::_exit(0);  // nobody traces it any more
    }
    await(ready_.reader);
  }
  ~TracedProcess() {
    for (const pid_t pid : {tracer_, traced_}) {
      ::kill(pid, SIGKILL);
      ::waitpid(pid, nullptr, 0);
    }
  }
  TracedProcess(const TracedProcess&) = delete;
  TracedProcess& operator=(const TracedProcess&) = delete;

  pid_t pid() const { return traced_; }
  bool is_traced() const { return field("TracerPid:") == std::to_string(tracer_); }

  void end_now() const {
    write_bytes(end_.writer);
    while (field("State:") != "Z") std::this_thread::yield();
  }
  void let_go() const { write_bytes(let_go_.writer); }

 private:
  // A byte has come.
  static void await(const Fd& fd) {
    pollfd polled{fd.get(), POLLIN, 0};
    static_cast<void>(uninterrupted([&] { return ::poll(&polled, 1, -1); }));
    read_bytes(fd, 1);
  }

  // What proc(5) says of it.
  std::string field(const std::string& name) const {
    std::ifstream lines("/proc/" + std::to_string(traced_) + "/status");
    std::string word;
    while (lines >> word && word != name) {
    }
    lines >> word;
    return word;
  }

  Pipe ready_ = make_pipe();
  Pipe end_ = make_pipe();
  Pipe let_go_ = make_pipe();
  pid_t traced_ = -1;
  pid_t tracer_ = -1;
};

class TracedChildTest : public Children {
 protected:
  // A base, and a child of it that is traced and ends with status 3.
  struct Scene {
    const TracedProcess process{3};
    Base base{options()};
    Told statuses;
    Child child{base, process.pid(), note(statuses)};
  };

  // Runs `part` on a scene where it is to hold.
  template <class Part>
  static void expect_traced(Part&& part) {
    expect([&] {
      Scene scene;
      if (!scene.process.is_traced()) GTEST_SKIP() << "nothing can be traced here";
      part(scene);
    });
  }
};
WITH_AND_WITHOUT_PROCESS_FDS(TracedChildTest);

TEST_P(TracedChildTest, IsToldOfOnceTheTracerLetsGo) {
  expect_traced([](Scene& scene) {
    auto& [process, base, statuses, child] = scene;
    const auto before = action_of(SIGCHLD);
    child.attach();
    Timer timer(base, [] {});

    process.end_now();
    timer.attach(50ms);
    EXPECT_EQ(run(base, RunMode::once), 1U);
    EXPECT_FALSE(timer.attached()) << "it is the timer that ran";
    EXPECT_LT(base.stats().iterations, 20U) << "it slept";
    EXPECT_EQ(base.loop(RunMode::nonblock), 0U);
    EXPECT_EQ(statuses, Told{});
    EXPECT_TRUE(child.attached());
    if (by_descriptor() && backend() == Backend::epoll) {
      EXPECT_EQ(action_of(SIGCHLD), before) << "the descriptor tells of it";
    }

    process.let_go();
    EXPECT_EQ(run(base), 1U);
    EXPECT_EQ(statuses, Told{"exited 3"});
    EXPECT_FALSE(child.attached());
  });
}

TEST_P(TracedChildTest, IsToldOfIfItHadEndedBeforeItWasAttached) {
  expect_traced([](Scene& scene) {
    auto& [process, base, statuses, child] = scene;
    process.end_now();

    child.attach();
    EXPECT_EQ(base.loop(RunMode::nonblock), 0U);
    EXPECT_EQ(child.try_kill(SIGTERM), std::error_code());
    process.let_go();
    EXPECT_EQ(run(base), 1U);

    EXPECT_EQ(statuses, Told{"exited 3"});
  });
}

TEST_P(TracedChildTest, MayBeDetachedMeanwhile) {
  expect_traced([](Scene& scene) {
    auto& [process, base, statuses, child] = scene;
    const auto before = action_of(SIGCHLD);
    child.attach();
    process.end_now();
    base.loop(RunMode::nonblock);

    EXPECT_TRUE(child.detach());
    EXPECT_EQ(action_of(SIGCHLD), before);
    child.attach();
    process.let_go();
    run(base);

    EXPECT_EQ(statuses, Told{"exited 3"});
    EXPECT_EQ(action_of(SIGCHLD), before);
  });
}

}  // namespace
}  // namespace event_cpp::test

#endif

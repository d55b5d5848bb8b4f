// Which descriptors a child has, and under which numbers.
#include <sys/resource.h>
#include <sys/syscall.h>

#include <csignal>
#include <limits>
#include <set>
#include <sstream>
#include <thread>

#include "net/processes.hpp"
#include "support/process.hpp"
#include "support/sanitizers.hpp"

namespace event_cpp::test {
namespace {

using net::Command;
using net::Outcome;
using net::Stdio;

class ProcessDescriptorsTest : public EveryStart {
 protected:
  // When they are looked at, the directory is closed.
  static constexpr const char* kList =
      "for fd in /proc/self/fd/*; do if [ -e $fd ]; then echo ${fd##*/}; fi; done";

  std::set<int> descriptors_of(Command command) {
    command.program = "/bin/sh";
    command.arguments = {"-c", kList};
    std::istringstream text(run(std::move(command)).out);
    std::set<int> fds;
    for (int fd = 0; text >> fd;) fds.insert(fd);
    return fds;
  }
};
ON_EVERY_START(ProcessDescriptorsTest);

// A socket would not do: opening it by name is an error.
TEST_P(ProcessDescriptorsTest, GivesRealPipesWhichCanBeOpenedByName) {
  EXPECT_EQ(sh("echo a > /dev/stdout; echo b > /dev/stderr").err, "b\n");
  EXPECT_EQ(sh("echo a > /dev/stdout").out, "a\n");
  net::RunOptions options;
  options.input = "in";
  EXPECT_EQ(sh("cat /dev/stdin", options).out, "in");
}

TEST_P(ProcessDescriptorsTest, GivesPipesThatBlockAndKeepsEndsThatDoNot) {
  Command command("python3", {"-c",
                              "import fcntl, os\n"
                              "for fd in 0, 1, 2:\n"
                              "  print(fcntl.fcntl(fd, fcntl.F_GETFL) & os.O_NONBLOCK)"});
  command.in = Stdio::pipe();
  EXPECT_EQ(run(command).out, "0\n0\n0\n");
  net::Process process(base, [] {
    Command sleep("sleep", {"1000"});
    sleep.in = sleep.out = sleep.err = Stdio::pipe();
    return sleep;
  }());
  for (const int fd : {process.in().fd(), process.out().fd(), process.err().fd()}) {
    EXPECT_NE(::fcntl(fd, F_GETFL) & O_NONBLOCK, 0);
    EXPECT_NE(::fcntl(fd, F_GETFD) & FD_CLOEXEC, 0);
  }
}

TEST_P(ProcessDescriptorsTest, LeavesTheFileOfTheProgramBlockingToOthers) {
  const Fd ours(::open("/dev/null", O_RDWR | O_CLOEXEC));
  Command command("true");
  command.in = Stdio::descriptor(ours.get());
  run(command);
  EXPECT_EQ(::fcntl(ours.get(), F_GETFL) & O_NONBLOCK, 0);
}

TEST_P(ProcessDescriptorsTest, LeavesNoneOpenButThoseThatAreGiven) {
  const Fd careless(::dup(::open("/dev/null", O_RDONLY)));  // both without close-on-exec
  Command command("ls");
  EXPECT_EQ(descriptors_of(command), (std::set<int>{0, 1, 2}));
  command.descriptors[7] = careless.get();
  EXPECT_EQ(descriptors_of(command), (std::set<int>{0, 1, 2, 7}));
  command.descriptors.clear();
  command.keep_descriptors = true;
  EXPECT_TRUE(descriptors_of(command).contains(careless.get()));
  for (int fd = 3; fd < careless.get(); ++fd) {
    if ((::fcntl(fd, F_GETFD) & FD_CLOEXEC) == 0) ::close(fd);
  }
}

// As on a kernel without close_range(2).
TEST_P(ProcessDescriptorsTest, ClosesThoseThatTheSystemListsWhereThatIsAll) {
#ifdef SYS_close_range
  if (!can_refuse_calls()) GTEST_SKIP() << "this kernel has no filters of system calls";
  EXPECT_TRUE(succeeds_in_child([&] {
    rlimit limit{};
    ::getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = limit.rlim_max;
    ::setrlimit(RLIMIT_NOFILE, &limit);
    const Fd careless(::fcntl(0, F_DUPFD, 500));
    ASSERT_TRUE(refuse_calls({SYS_close_range}, ENOSYS));
    base.after_fork();
    Command command("ls");
    EXPECT_EQ(descriptors_of(command), (std::set<int>{0, 1, 2}));
    command.umask = 022;  // by fork(2) where posix_spawn(3) is used
    EXPECT_EQ(descriptors_of(command), (std::set<int>{0, 1, 2}));
  }));
#endif
}

TEST_P(ProcessDescriptorsTest, MovesDescriptorsWhoseNumbersCross) {
  std::vector<Pipe> pipes;
  for (int i = 0; i < 3; ++i) pipes.push_back(readable_pipe());
  const int a = pipes[0].reader.get();
  const int b = pipes[1].reader.get();
  const int c = pipes[2].reader.get();
  char letter = 'a';
  for (const Pipe& pipe : pipes) {
    char byte = 0;
    static_cast<void>(!::read(pipe.reader.get(), &byte, 1));
    static_cast<void>(!::write(pipe.writer.get(), &letter, 1));
    ++letter;
  }
  // Each is another's, and one is its own, which must lose close-on-exec.
  ::fcntl(c, F_SETFD, FD_CLOEXEC);
  const auto read_from = [](int fd) { return "head -c1 /dev/fd/" + std::to_string(fd) + ";"; };
  Command command = Command::shell(read_from(a) + read_from(b) + read_from(c));
  command.descriptors = {{a, b}, {b, a}, {c, c}};
  EXPECT_EQ(run(command).out, "bac");
  // Standard streams cross as well.
  const Fd out = duplicate(pipes[0].writer);
  command = Command::shell("head -c3 <&2 >/dev/null && echo x >&0");
  EXPECT_TRUE(succeeds_in_child([&] {
    base.after_fork();
    ::dup2(a, 0);
    ::dup2(out.get(), 2);
    command.in = Stdio::descriptor(2);
    command.err = Stdio::descriptor(0);
    write_bytes(pipes[0].writer, 3);
    EXPECT_TRUE(run(command).exited.success());
  }));
}

TEST_P(ProcessDescriptorsTest, WorksInAProcessWithoutStandardStreams) {
  EXPECT_TRUE(succeeds_in_child([&] {
    base.after_fork();
    const Fd kept(::fcntl(2, F_DUPFD, 100));
    for (const int fd : {0, 1, 2}) ::close(fd);
    net::RunOptions options;
    options.input = "in ";
    Command command = Command::shell(std::string("cat; echo out; echo err >&2;") + kList);
    const Outcome outcome = run(command, options);
    ::dup2(kept.get(), 1);
    ::dup2(kept.get(), 2);
    EXPECT_EQ(outcome.out, "in out\n0\n1\n2\n");
    EXPECT_EQ(outcome.err, "err\n");
  }));
}

TEST_P(ProcessDescriptorsTest, RefusesOneThatIsNotOpen) {
  Command command("true");
  command.descriptors[5] = 900;
  EXPECT_EQ(error_of(command).step(), Step::descriptors);
  for (const int number : {-1, std::numeric_limits<int>::min(), std::numeric_limits<int>::max()}) {
    command.descriptors = {{number, STDOUT_FILENO}};
    EXPECT_EQ(error_of(command).code(), EBADF);
  }
  command.descriptors.clear();
  command.out = Stdio::descriptor(900);
  EXPECT_EQ(error_of(command).step(), Step::descriptors);
}

TEST_P(ProcessDescriptorsTest, WritesAndReadsFiles) {
  const Directory directory;
  directory.add("in", "from a file\n");
  Command command("cat");
  command.in = Stdio::file(directory.path("in"));
  command.out = Stdio::file(directory.path("out"));
  run(command);
  EXPECT_EQ(directory.text("out"), "from a file\n");
  command.out = Stdio::append(directory.path("out"));
  run(command);
  EXPECT_EQ(directory.text("out"), "from a file\nfrom a file\n");
  command.in = Stdio::file(directory.path("none"));
  const auto caught = error_of(command);
  EXPECT_EQ(caught.step(), Step::open);
  EXPECT_EQ(caught.code(), ENOENT);
  EXPECT_EQ(caught.path(), directory.path("none"));
}

// Neither this process nor, with it, the child waits for a reader that may never come.
TEST_P(ProcessDescriptorsTest, DoesNotBlockOnAFifo) {
  const Directory directory;
  ASSERT_EQ(::mkfifo(directory.path("fifo").c_str(), 0600), 0);
  Command command("echo", {"hello"});
  command.out = Stdio::file(directory.path("fifo"));
  EXPECT_EQ(error_of(command).code(), ENXIO);
  const Fd reader(::open(directory.path("fifo").c_str(), O_RDONLY | O_NONBLOCK));
  EXPECT_TRUE(run(command).exited.success());
  char text[6] = {};
  EXPECT_EQ(::read(reader.get(), text, 6), 6);
  EXPECT_EQ(std::string(text, 6), "hello\n");
}

// Each is read to its end, which would not come if another child had its pipe as well.
TEST_P(ProcessDescriptorsTest, LeaksNoPipeIntoProcessesOfOtherThreads) {
#if EVENT_HAS_TSAN && defined(__clang__)
  GTEST_SKIP() << "clang's thread sanitizer ends the program in the midst of a report to suppress";
#endif
  const net::Process beside(base, Command("sleep", {"1000"}));
  std::atomic<int> ended = 0;
  const auto run_many = [&] {
    Base own(Options{});
    for (int i = 0; i < 60; ++i) {
      Command sleeper("sleep", {"1000"});
      sleeper.out = sleeper.in = Stdio::pipe();
      net::Process long_lived(own, sleeper);
      Command cat("cat");
      cat.in = cat.out = Stdio::pipe();
      net::Process process(own, cat);
      process.in().close();
      const auto exit = co::run(own, process.wait());
      if (exit.success()) ++ended;
    }
  };
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) threads.emplace_back(run_many);
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(ended, 4 * 60);
}

}  // namespace
}  // namespace event_cpp::test

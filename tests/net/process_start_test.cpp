// What a child gets: arguments, environment, directory, program; and why it could not be started.
#include <sys/resource.h>

#include <csignal>
#include <thread>

#include "net/processes.hpp"
#include "net/toy_kernel.hpp"
#include "support/failing_new.hpp"
#include "support/process.hpp"

namespace event_cpp::test {
namespace {

using net::Command;
using net::Outcome;
using net::Stdio;

class ProcessStartTest : public EveryStart {
 protected:
  // What a script writes, without the end of the line.
  std::string say(const Command& command) {
    const Outcome outcome = run(command);
    EXPECT_TRUE(outcome.exited.success()) << outcome.exited.text() << outcome.err;
    return outcome.out.substr(0, outcome.out.find_last_not_of('\n') + 1);
  }
};
ON_EVERY_START(ProcessStartTest);

TEST_P(ProcessStartTest, ChangesTheEnvironmentForTheChildAlone) {
  ::setenv("EVENT_TEST_A", "a", 1);
  ::setenv("EVENT_TEST_B", "b", 1);
  Command command = Command::shell("echo $EVENT_TEST_A ${EVENT_TEST_B-none} $EVENT_TEST_C");
  command.environment["EVENT_TEST_B"] = std::nullopt;
  command.environment["EVENT_TEST_C"] = "c=d e";
  EXPECT_EQ(say(command), "a none c=d e");
  EXPECT_EQ(std::getenv("EVENT_TEST_C"), nullptr);
  command.clear_environment = true;
  EXPECT_EQ(say(command), "none c=d e");
  EXPECT_EQ(error_of([] {
              Command wrong("true");
              wrong.environment["A=B"] = "c";
              return wrong;
            }())
                .code(),
            EINVAL);
}

TEST_P(ProcessStartTest, RefusesTextWithAZeroByte) {
  const Directory directory;
  const std::string text("/\0b", 3);
  const auto refuses = [&](Step step, auto change) {
    Command command("true");
    change(command);
    const auto caught = error_of(command);
    EXPECT_EQ(caught.step(), step);
    EXPECT_EQ(caught.code(), EINVAL);
  };
  refuses(Step::exec, [&](Command& command) { command.program = text; });
  refuses(Step::exec, [&](Command& command) { command.name = text; });
  refuses(Step::exec, [&](Command& command) { command.arguments = {text}; });
  refuses(Step::exec, [&](Command& command) { command.environment["A"] = text; });
  refuses(Step::exec, [&](Command& command) { command.environment[text] = "a"; });
  refuses(Step::directory, [&](Command& command) { command.directory = text; });
  refuses(Step::open, [&](Command& command) { command.in = Stdio::file("/etc/passwd" + text); });
  refuses(Step::open,
          [&](Command& command) { command.out = Stdio::file(directory.path("out") + text); });
  refuses(Step::open,
          [&](Command& command) { command.err = Stdio::append(directory.path("err") + text); });
  EXPECT_TRUE(std::filesystem::is_empty(directory.path()));
}

TEST_P(ProcessStartTest, GivesTheShellArgumentsThatItDoesNotRead) {
  const Command command = Command::shell("printf '<%s>' \"$0\" \"$@\"", {"a b", "$(id)"});
  EXPECT_EQ(say(command), "<sh><a b><$(id)>");
}

TEST_P(ProcessStartTest, TakesAnotherNameThanThatOfTheProgram) {
  Command command("/bin/sh", {"-c", "echo $0"});
  command.name = "other";
  EXPECT_EQ(say(command), "other");
}

TEST_P(ProcessStartTest, EntersTheDirectory) {
  const Directory directory;
  Command command("pwd", {"-P"});
  command.directory = directory.path();
  EXPECT_EQ(say(command), std::filesystem::canonical(directory.path()).string());
}

TEST_P(ProcessStartTest, FindsTheProgramInThePathOfTheChild) {
  const Directory directory;
  directory.add("program", "#!/bin/sh\necho found\n");
  Command command("program");
  EXPECT_EQ(error_of(command).code(), ENOENT);
  command.environment["PATH"] = "/nowhere:" + directory.path();
  EXPECT_EQ(say(command), "found");
}

TEST_P(ProcessStartTest, RefusesAnEmptyName) {
  for (const char* directory : {"", "/tmp"}) {
    Command command("");
    command.directory = directory;
    const auto caught = error_of(command);
    EXPECT_EQ(caught.code(), ENOENT);
    EXPECT_NE(caught.what().find("its name is empty"), std::string::npos) << caught.what();
  }
}

// Which execve(2) accepts, and nobody reads.
TEST_P(ProcessStartTest, LetsAVariableBeWithoutAValue) {
  char path[] = "PATH";
  char good[] = "EVENT_TEST_A=a";
  char empty[] = "";
  char* variables[] = {path, empty, good, nullptr};
  char** const before = std::exchange(environ, variables);
  const Command command("sh", {"-c", "echo $EVENT_TEST_A"});
  const std::string said = say(command);
  environ = before;
  EXPECT_EQ(said, "a");
}

TEST_P(ProcessStartTest, LooksOnBehindAPathThatCannotBe) {
  const Directory directory;
  directory.add("program", "#!/bin/sh\necho found\n");
  directory.add("file", "");
  const std::string long_name(300, 'x');
  std::string long_path;
  for (int i = 0; i < 50; ++i) long_path += '/' + std::string(100, 'x');
  for (const std::string& first : {'/' + long_name, long_path, directory.path("file")}) {
    Command command("program");
    command.environment["PATH"] = first + ':' + directory.path();
    EXPECT_EQ(say(command), "found") << first;
    command.program = "other";
    EXPECT_EQ(error_of(command).code(), ENOENT) << first;
  }
  EXPECT_EQ(error_of(Command(long_name)).code(), ENAMETOOLONG);
  EXPECT_EQ(error_of(Command(directory.path("file/program"))).code(), ENOTDIR);
}

TEST_P(ProcessStartTest, TakesRelativePathsAsRelativeToTheDirectoryOfTheChild) {
  const Directory directory;
  directory.add_directory("bin");
  directory.add("bin/program", "#!/bin/sh\necho found\n");
  Command command("program");
  command.directory = directory.path();
  command.environment["PATH"] = "bin";
  EXPECT_EQ(say(command), "found");
  command.program = "bin/program";
  EXPECT_EQ(say(command), "found");
}

// To the shell an empty element is the current directory, where anybody may have put a program.
TEST_P(ProcessStartTest, SkipsEmptyElementsOfThePath) {
  const Directory directory;
  directory.add("program", "#!/bin/sh\n");
  Command command("program");
  command.directory = directory.path();
  for (const char* const path : {":/bin", "/bin:", "/bin::/usr/bin", "", ":"}) {
    command.environment["PATH"] = path;
    EXPECT_EQ(error_of(command).code(), ENOENT) << path;
  }
}

TEST_P(ProcessStartTest, LooksOnWhereAProgramMayNotBeRun) {
  const Directory directory;
  for (const char* const name : {"a", "b"}) directory.add_directory(name);
  directory.add("a/program", "#!/bin/sh\n", 0644);
  Command command("program");
  command.environment["PATH"] = directory.path("a") + ':' + directory.path("b");
  const auto caught = error_of(command);
  EXPECT_EQ(caught.step(), Step::exec);
  EXPECT_EQ(caught.code(), EACCES);
  EXPECT_EQ(caught.path(), directory.path("a/program"));
  directory.add("b/program", "#!/bin/sh\necho found\n");
  EXPECT_EQ(say(command), "found");
}

TEST_P(ProcessStartTest, TellsAMissingDirectoryFromAMissingProgram) {
  Command command("true");
  command.directory = "/nowhere/at/all";
  const auto directory = error_of(command);
  EXPECT_EQ(directory.step(), Step::directory);
  EXPECT_EQ(directory.code(), ENOENT);
  EXPECT_EQ(directory.path(), "/nowhere/at/all");
  const auto program = error_of(Command("/nowhere/program"));
  EXPECT_EQ(program.step(), Step::exec);
  EXPECT_EQ(program.code(), ENOENT);
  EXPECT_EQ(program.path(), "/nowhere/program");
  EXPECT_NE(program.what().find("cannot run /nowhere/program"), std::string::npos)
      << program.what();
}

TEST_P(ProcessStartTest, TellsWhatIsWrongWithAScript) {
  const Directory directory;
  const auto error_of_script = [&](const char* text) {
    return error_of(Command(directory.add("script", text)));
  };
  const auto bad = error_of_script("#! /no/such/shell -x\n");
  EXPECT_EQ(bad.code(), ENOENT);
  EXPECT_NE(bad.what().find("its interpreter /no/such/shell is missing"), std::string::npos)
      << bad.what();
  const auto none = error_of_script("echo hello\n");
  EXPECT_EQ(none.code(), ENOEXEC);
  EXPECT_NE(none.what().find("does not begin with #!"), std::string::npos) << none.what();
  const auto refused = error_of(Command(directory.add("refused", "#!/bin/sh\n", 0644)));
  EXPECT_EQ(refused.code(), EACCES);
}

TEST_P(ProcessStartTest, LeavesNothingBehindWhenItFails) {
  const Command missing("/nowhere/program");
  Command directory = Command::shell("true");
  directory.directory = "/nowhere";
  directory.out = Stdio::pipe();
  directory.in = Stdio::pipe();
  static_cast<void>(error_of(missing));
  const auto before = open_descriptors();
  for (int i = 0; i < 500; ++i) {
    static_cast<void>(error_of(missing));
    static_cast<void>(error_of(directory));
  }
  settle();
  EXPECT_EQ(open_descriptors(), before);
  EXPECT_TRUE(has_no_child());
}

TEST_P(ProcessStartTest, FailsWithoutADescriptor) {
  Command command("true");
  command.out = Stdio::pipe();
  std::optional<net::SpawnError> error;
  {
    const NoDescriptorLeft none;
    try {
      const net::Process process(base, command);
    } catch (const net::SpawnError& caught) {
      error = caught;
    }
  }
  ASSERT_TRUE(error);
  EXPECT_EQ(error->step(), Step::pipe);
  EXPECT_EQ(error->code(), std::errc::too_many_files_open);
}

TEST_P(ProcessStartTest, DoesNotTakeWantOfADescriptorForAMissingProgram) {
  const Directory directory;
  directory.add("program", "#!/bin/sh\n");
  Command command("./program");
  command.directory = directory.path();
  std::error_code code;
  {
    const NoDescriptorLeft none;
    try {
      const net::Process process(base, command);
    } catch (const net::SpawnError& caught) {
      code = caught.code();
    }
  }
  EXPECT_EQ(code, std::errc::too_many_files_open);
}

// As if another thread closed the file between two tries.
const Directory* busy_directory = nullptr;
net::detail::Spawner real_spawner = nullptr;
int tries = 0;
net::detail::Failure busy_twice(const net::detail::Plan& plan,
                                net::detail::Started& started) noexcept {
  const Fd writer(++tries <= 2 ? ::open(busy_directory->path("program").c_str(), O_WRONLY) : -1);
  return real_spawner(plan, started);
}

TEST_P(ProcessStartTest, TriesAgainIfTheProgramIsBeingWritten) {
  const Directory directory;
  std::filesystem::copy_file("/bin/true", directory.path("program"));
  busy_directory = &directory;
  real_spawner = net::detail::spawner;
  net::detail::spawner = &busy_twice;
  tries = 0;
  Command command(directory.path("program"));
  command.in = Stdio::pipe();
  EXPECT_TRUE(run(command).exited.success());
  EXPECT_EQ(tries, 3);
  net::detail::spawner = real_spawner;
  const Fd writer(::open(directory.path("program").c_str(), O_WRONLY));
  const auto caught = error_of(command);
  EXPECT_EQ(caught.code(), ETXTBSY);
  EXPECT_EQ(caught.path(), directory.path("program"));
}

TEST_P(ProcessStartTest, SetsLimitsAndTheUmask) {
  Command command = Command::shell("ulimit -n; ulimit -c; umask");
  command.limits[RLIMIT_NOFILE] = {64, 64};
  command.limits[RLIMIT_CORE] = {0, RLIM_INFINITY};
  command.umask = 027;
  // The descriptors are beyond that limit.
  const Fd high(::fcntl(0, F_DUPFD_CLOEXEC, 200));
  command.in = Stdio::descriptor(high.get());
  EXPECT_EQ(say(command), "64\n0\n0027");
  command.limits[RLIMIT_NOFILE] = {65, 64};
  EXPECT_EQ(error_of(command).step(), Step::limits);
}

// The library raises no limit of this process, so that none is inherited.
TEST_P(ProcessStartTest, InheritsTheLimitsOfThisProcess) {
  rlimit limit{};
  ::getrlimit(RLIMIT_NOFILE, &limit);
  EXPECT_EQ(say(Command::shell("ulimit -Sn")), std::to_string(limit.rlim_cur));
}

TEST_P(ProcessStartTest, SetsGroupsThenTheGroupThenTheUser) {
  if (::geteuid() != 0) GTEST_SKIP() << "only root may";
  Command command = Command::shell("id -u; id -g; id -G");
  command.uid = 65534;
  command.gid = 65533;
  EXPECT_EQ(say(command), "65534\n65533\n65533");
  command.groups = {65531, 65532};
  EXPECT_EQ(say(command), "65534\n65533\n65533 65531 65532");
  // This process and all of its threads are still who they were.
  EXPECT_EQ(::geteuid(), 0U);
  EXPECT_EQ(::getegid(), 0U);
  // And whoever is not root may not.
  EXPECT_TRUE(succeeds_in_child([&] {
    ASSERT_EQ(::setuid(65534), 0);
    EXPECT_EQ(error_of(command).step(), Step::user);
  }));
}

TEST_P(ProcessStartTest, EntersTheDirectoryAsTheUser) {
  if (::geteuid() != 0) GTEST_SKIP() << "only root may";
  const Directory directory;
  ::chmod(directory.path().c_str(), 0700);
  Command command("true");
  command.directory = directory.path();
  command.uid = 65534;
  const auto caught = error_of(command);
  EXPECT_EQ(caught.step(), Step::directory);
  EXPECT_EQ(caught.code(), EACCES);
}

TEST_P(ProcessStartTest, MakesGroupsAndSessions) {
  // Its process ID, process group, and session.
  Command command("/bin/sh", {"-c", "cut -d' ' -f1,5,6 /proc/$$/stat; exit"});
  const auto ids = [&] {
    std::vector<pid_t> numbers(3);
    std::istringstream(say(command)) >> numbers[0] >> numbers[1] >> numbers[2];
    return numbers;
  };
  command.group = Command::Group::own;
  auto own = ids();
  EXPECT_EQ(own[1], own[0]);
  EXPECT_EQ(own[2], ::getsid(0));
  command.group = Command::Group::session;
  own = ids();
  EXPECT_EQ(own[1], own[0]);
  EXPECT_EQ(own[2], own[0]);
  command.group = Command::Group::join;
  command.process_group = ::getpgrp();
  EXPECT_EQ(ids()[1], ::getpgrp());
  for (const pid_t none : {1, 0, -1}) {  // setpgid(2) takes 0 for a new group
    command.process_group = none;
    EXPECT_EQ(error_of(command).step(), Step::group);
  }
}

#if defined(SYS_newfstatat) && defined(SYS_faccessat2)
// Not that there is no such program.
TEST_P(ProcessStartTest, SaysWhyItCannotLookForAProgram) {
  if (!can_refuse_calls()) GTEST_SKIP() << "this kernel has no filters of system calls";
  const long looks[] = {SYS_newfstatat, SYS_faccessat2};
  for (const long look : looks) {
    EXPECT_TRUE(succeeds_in_child([&] {
      base.after_fork();
      ASSERT_TRUE(refuse_calls({is_clone() ? SYS_execve : look}, ENOMEM));
      const Caught error = error_of(Command("true"));
      EXPECT_EQ(error.code(), ENOMEM);
      EXPECT_EQ(error.step(), Step::exec);
    }));
  }
}
#endif

#ifdef __linux__
// fork(2) is told by a pipe whether the program runs.
TEST_P(ProcessStartTest, EndsAChildOfWhichItCannotSeeWhetherItsProgramRuns) {
  if (is_clone()) GTEST_SKIP() << "the child tells in memory";
  if (!can_refuse_calls()) GTEST_SKIP() << "this kernel has no filters of system calls";
  EXPECT_TRUE(succeeds_in_child([&] {
    base.after_fork();
    ASSERT_TRUE(refuse_calls({SYS_read}, EIO));
    Command command("sleep", {"1000"});
    command.umask = 027;  // posix_spawn(3) has no such thing
    const Caught error = error_of(command);
    EXPECT_EQ(error.code(), EIO);
    EXPECT_EQ(error.step(), Step::start);
    EXPECT_TRUE(has_no_child());
  }));
}
#endif

TEST_P(ProcessStartTest, LeavesNothingIfThereIsNoMemoryToStartIt) {
  if (!FailingNew::works()) GTEST_SKIP() << "operator new cannot be made to fail here";
  Command command("true");
  command.in = command.out = command.err = net::Stdio::pipe();
  const auto before = open_descriptors();
  bool failed = true;
  for (std::size_t allowed = 0; failed; ++allowed) {
    ASSERT_LT(allowed, 1000U);
    std::optional<net::Process> process;
    {
      const FailingNew failing(allowed);
      try {
        process.emplace(base, command);
      } catch (const std::bad_alloc&) {
      } catch (const std::system_error&) {  // that there is none for the start, or to wait for it
      }
      failed = failing.failures() > 0;
    }
    if (process) end_of(*process);
    process.reset();
    EXPECT_EQ(open_descriptors(), before) << allowed;
    EXPECT_TRUE(has_no_child()) << allowed;
  }
}

TEST_P(ProcessStartTest, EndsWithTheThreadThatStartedItOnlyIfAsked) {
#if EVENT_HAVE_CLONE
  for (const bool asked : {false, true}) {
    Command command("sleep", {"1000"});
    if (asked) command.parent_death_signal = SIGKILL;
    std::optional<net::Process> process;
    Base other(Options{});
    std::thread([&] { process.emplace(other, command); }).join();
    if (asked) {
      await([&] { return is_zombie_or_gone(process->pid()); });
    } else {
      EXPECT_FALSE(is_zombie_or_gone(process->pid()));
    }
  }
#else
  Command command("true");
  command.parent_death_signal = SIGKILL;
  EXPECT_EQ(error_of(command).code(), ENOTSUP);
#endif
}

TEST_P(ProcessStartTest, SaysThatASimulatedBaseHasNoProcesses) {
  Options options;
  options.backend = Backend::none;
  Base simulated(options);
  const auto refused = [](Base& on) {
    try {
      const net::Process process(on, Command("true"));
    } catch (const net::SpawnError& error) {
      return error.step() == Step::base && error.code() == Errc::unsupported;
    }
    return false;
  };
  EXPECT_TRUE(refused(simulated));
  net::set_kernel(base, &kernel);
  EXPECT_TRUE(refused(base));
}

}  // namespace
}  // namespace event_cpp::test

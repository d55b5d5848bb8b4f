// The fixture of tests that start processes: on every backend that can wait for them, and in every
// way in which this system starts them.
//   class SubjectTest : public EveryStart {};
//   ON_EVERY_START(SubjectTest);
#pragma once

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <optional>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "net/frozen_base.hpp"
#include "net/spawn.hpp"
#include "net/support.hpp"
#include "support/children.hpp"

namespace event_cpp::test {

enum class Way : std::uint8_t { clone, posix };

inline std::vector<Way> every_way() {
#if EVENT_HAVE_CLONE
  return {Way::clone, Way::posix};
#else
  return {Way::posix};
#endif
}

class EveryStart : public testing::TestWithParam<std::tuple<Backend, Way>>, protected FrozenBase {
 protected:
  EveryStart() : FrozenBase(backend()) {
    reap_what_is_left();
#if EVENT_HAVE_CLONE
    net::detail::spawner = is_clone() ? &net::detail::spawn_by_clone : &net::detail::spawn_by_posix;
#endif
  }
  ~EveryStart() override { net::detail::spawner = spawner_; }

  static Backend backend() { return std::get<0>(GetParam()); }
  static bool is_clone() { return std::get<1>(GetParam()) == Way::clone; }

  using FrozenBase::run;
  // Runs a command to its end.
  net::Outcome run(net::Command command, net::RunOptions options = {}) {
    return run(net::run(std::move(command), std::move(options)));
  }
  // Of a script of the shell.
  net::Outcome sh(const std::string& script, net::RunOptions options = {}) {
    return run(net::Command::shell(script), std::move(options));
  }
  template <class F>
  void run_a_while_until(F done) {
    for (int i = 0; !done() && i < 20'000; ++i) {
      base.loop(RunMode::nonblock);
      ::usleep(1000);
    }
    EXPECT_TRUE(done());
  }
  net::Exit end_of(net::Process& process) { return run(process.wait()); }

  static bool is_zombie_or_gone(pid_t pid) {
    std::ifstream status("/proc/" + std::to_string(pid) + "/stat");
    std::string text;
    std::getline(status, text);
    return text.empty() || text.find(") Z") != std::string::npos;
  }
  // It is no child of this process any more, not even a zombie.
  static bool is_reaped(pid_t pid) {
    siginfo_t info{};
    return ::waitid(P_PID, static_cast<id_t>(pid), &info, WEXITED | WNOHANG | WNOWAIT) != 0 &&
           errno == ECHILD;
  }
  // Tests before this one, in the same program, have killed what they left with their bases.
  static void reap_what_is_left() {
    for (int i = 0; !has_no_child() && i < 1'000; ++i) {
      if (::waitpid(-1, nullptr, WNOHANG) == 0) ::usleep(1000);
    }
  }
  static bool has_no_child() {
    siginfo_t info{};
    return ::waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) != 0 && errno == ECHILD;
  }
  static void await(const std::function<bool()>& done) {
    for (int i = 0; !done() && i < 20'000; ++i) ::usleep(1000);
    EXPECT_TRUE(done());
  }

  struct Caught {
    std::optional<net::SpawnError> error;
    net::SpawnError::Step step() const { return error->step(); }
    int code() const { return error->code().value(); }
    std::string path() const { return error->path(); }
    std::string what() const { return error->what(); }
  };
  // What starting it throws.
  Caught error_of(const net::Command& command) {
    try {
      const net::Process process(base, command);
    } catch (const net::SpawnError& error) {
      return {error};
    }
    ADD_FAILURE() << "it was started";
    return {net::SpawnError(Step::base, {}, "", "none")};
  }
  using Step = net::SpawnError::Step;

 private:
  net::detail::Spawner spawner_ = net::detail::spawner;
};

// A directory that is removed, with files that can be run.
class Directory {
 public:
  Directory() {
    std::string name = (std::filesystem::temp_directory_path() / "event.XXXXXX").string();
    path_ = ::mkdtemp(name.data());
  }
  ~Directory() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  Directory(const Directory&) = delete;
  Directory& operator=(const Directory&) = delete;

  const std::string& path() const { return path_; }
  std::string path(const std::string& name) const { return path_ + '/' + name; }
  std::string add(const std::string& name, const std::string& text, mode_t mode = 0755) const {
    std::ofstream(path(name)) << text;
    ::chmod(path(name).c_str(), mode);
    return path(name);
  }
  void add_directory(const std::string& name) const { ::mkdir(path(name).c_str(), 0755); }
  std::string text(const std::string& name) const {
    std::ifstream file(path(name));
    return {std::istreambuf_iterator<char>(file), {}};
  }

 private:
  std::string path_;
};

inline std::vector<Backend> backends_with_processes() {
  std::vector<Backend> usable;
  for (const Backend backend : usable_backends()) {
    if (backend != Backend::none) usable.push_back(backend);
  }
  return usable;
}

}  // namespace event_cpp::test

#define ON_EVERY_START(Suite)                                                               \
  INSTANTIATE_TEST_SUITE_P(, Suite,                                                         \
                           testing::Combine(testing::ValuesIn(backends_with_processes()),   \
                                            testing::ValuesIn(every_way())),                \
                           [](const auto& chosen) {                                         \
                             const bool by_clone = std::get<1>(chosen.param) == Way::clone; \
                             return to_string(std::get<0>(chosen.param)) +                  \
                                    (by_clone ? "_clone" : "_posix");                       \
                           })

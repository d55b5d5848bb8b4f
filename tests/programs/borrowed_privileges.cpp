// A program with more rights than the user who starts it does not let this user's environment
// choose its backend. Makes a set-ID copy of itself and runs that.
#include <grp.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdlib>
#include <event/event.hpp>
#include <exception>
#include <filesystem>
#include <iostream>
#include <optional>
#include <stdexcept>
#include <string>

#include "support/sanitizers.hpp"

namespace {

constexpr int kPassed = 0;
constexpr int kFailed = 1;
constexpr int kSkipped = 77;
constexpr const char* kInside = "--inside";

// The thread sanitizer of some compilers starts without randomized addresses alone, and the system
// randomizes those of a program that gets other rights.
constexpr bool kCanStart = !EVENT_HAS_TSAN;

// With the rights of another user or group; EVENT_BACKEND names no backend.
int inside() {
  if (::getuid() == ::geteuid() && ::getgid() == ::getegid()) return kSkipped;
  if (std::getenv("EVENT_BACKEND") == nullptr) return kFailed;
  const event::Base base;
  return base.backend() == event::Base::backends().front() ? kPassed : kFailed;
}

// A folder of its own, which goes with this.
class Folder {
 public:
  Folder() {
    std::string name = (std::filesystem::temp_directory_path() / "event-XXXXXX").string();
    if (::mkdtemp(name.data()) == nullptr) throw std::runtime_error("mkdtemp failed");
    path_ = name;
    ::chmod(name.c_str(), 0755);
  }
  ~Folder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;

  std::filesystem::path file(const char* name) const { return path_ / name; }

 private:
  std::filesystem::path path_;
};

// A group of this process's that is not its effective one.
std::optional<gid_t> another_group() {
  std::array<gid_t, 64> groups{};
  const int count = ::getgroups(static_cast<int>(groups.size()), groups.data());
  for (int i = 0; i < count; ++i) {
    const gid_t group = groups.at(static_cast<std::size_t>(i));
    if (group != ::getegid()) return group;
  }
  return std::nullopt;
}

// Root can give a program to anybody; others, to a group of theirs.
bool lend_rights(const std::filesystem::path& program) {
  constexpr uid_t kSomebody = 65534;
  constexpr mode_t kExecutable = S_IRUSR | S_IXUSR | S_IRGRP | S_IXGRP | S_IROTH | S_IXOTH;
  if (::geteuid() == 0) {
    return ::chown(program.c_str(), kSomebody, static_cast<gid_t>(-1)) == 0 &&
           ::chmod(program.c_str(), S_ISUID | kExecutable) == 0;
  }
  const std::optional<gid_t> group = another_group();
  return group && ::chown(program.c_str(), static_cast<uid_t>(-1), *group) == 0 &&
         ::chmod(program.c_str(), S_ISGID | kExecutable) == 0;
}

int run(const std::filesystem::path& program) {
  ::setenv("EVENT_BACKEND", "nonsense", 1);
  const pid_t child = ::fork();
  if (child == 0) {
    ::execl(program.c_str(), program.c_str(), kInside, static_cast<char*>(nullptr));
    // The kernel below an emulator runs no programs of this processor.
    ::_exit(errno == ENOEXEC ? kSkipped : kFailed);
  }
  int status = 0;
  if (child < 0 || ::waitpid(child, &status, 0) != child || !WIFEXITED(status)) return kFailed;
  return WEXITSTATUS(status);
}

}  // namespace

int main(int argc, char** argv) {
  try {
    // The leak sanitizer traces the process at its end, which it may not where rights are borrowed.
    if (argc > 1 && std::string(argv[1]) == kInside) ::_exit(inside());
    if (!kCanStart) return kSkipped;
    const Folder folder;
    const std::filesystem::path copy = folder.file("program");
    std::filesystem::copy_file(argv[0], copy);
    if (!lend_rights(copy)) return kSkipped;
    return run(copy);
  } catch (const std::exception& error) {
    std::cerr << error.what() << std::endl;
    return kFailed;
  }
}

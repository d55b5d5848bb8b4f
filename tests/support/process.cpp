// Reads /proc and getrusage().
#include "support/process.hpp"

#include <dirent.h>
#if defined(__GLIBC__)
#include <malloc.h>
#endif
#include <sys/resource.h>
#if defined(__linux__)
#include <sys/syscall.h>
#endif
#include <unistd.h>

#include <array>
#include <chrono>
#include <cstdlib>
#include <fstream>
#include <thread>

#include "support/sanitizers.hpp"

#if EVENT_CHECK_DESCRIPTORS
#include "closed/numbers.hpp"
#endif

namespace event_cpp::test {
namespace {

// What is only kept from being given out again, in a build that checks the use of descriptors.
#if EVENT_CHECK_DESCRIPTORS
bool is_closed(int fd) { return closed::owner_of(fd) == closed::Owner::poison; }
#else
bool is_closed(int) { return false; }
#endif

}  // namespace

std::set<int> open_descriptors() {
  std::set<int> found;
  DIR* directory = ::opendir("/proc/self/fd");
  if (directory == nullptr) return found;
  while (const dirent* entry = ::readdir(directory)) {
    if (entry->d_name[0] != '.') found.insert(std::atoi(entry->d_name));
  }
  found.erase(::dirfd(directory));
  std::erase_if(found, is_closed);
  ::closedir(directory);
  return found;
}

std::string link_of(int fd) {
  std::array<char, 256> buffer{};
  const std::string path = "/proc/self/fd/" + std::to_string(fd);
  const ssize_t size = ::readlink(path.c_str(), buffer.data(), buffer.size());
  return size < 0 ? std::string() : std::string(buffer.data(), static_cast<std::size_t>(size));
}

int new_descriptor(const std::set<int>& before, const std::string& what) {
  for (const int fd : open_descriptors()) {
    if (!before.contains(fd) && link_of(fd).find(what) != std::string::npos) return fd;
  }
  return -1;
}

std::size_t raise_descriptor_limit() {
  rlimit limit{};
  ::getrlimit(RLIMIT_NOFILE, &limit);
  limit.rlim_cur = limit.rlim_max;
  ::setrlimit(RLIMIT_NOFILE, &limit);
  ::getrlimit(RLIMIT_NOFILE, &limit);
  return limit.rlim_cur;
}

long voluntary_context_switches() {
  rusage usage{};
#if defined(RUSAGE_THREAD)
  ::getrusage(RUSAGE_THREAD, &usage);
#else
  ::getrusage(RUSAGE_SELF, &usage);
#endif
  return usage.ru_nvcsw;
}

std::size_t allocated_bytes() {
#if defined(__GLIBC__) && !EVENT_HAS_ASAN && !EVENT_HAS_TSAN
  const struct mallinfo2 info = ::mallinfo2();
  return info.uordblks + info.hblkhd;
#else
  return 0;
#endif
}

#if defined(__linux__)

pid_t this_thread() { return static_cast<pid_t>(::syscall(SYS_gettid)); }

void await_sleep_of(pid_t thread) {
  const std::string path = "/proc/self/task/" + std::to_string(thread) + "/stat";
  const auto bound = std::chrono::steady_clock::now() + std::chrono::seconds(20);
  while (std::chrono::steady_clock::now() < bound) {
    std::ifstream stat(path);
    std::string line;
    std::getline(stat, line);
    // The state comes after the name, which is in brackets.
    const std::size_t end = line.rfind(')');
    if (end != std::string::npos && line.compare(end, 3, ") S") == 0) return;
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
}

#else

pid_t this_thread() { return ::getpid(); }

// A thread that is not asleep by then makes a test see less, and does not make it fail.
void await_sleep_of(pid_t) { std::this_thread::sleep_for(std::chrono::milliseconds(20)); }

#endif

}  // namespace event_cpp::test

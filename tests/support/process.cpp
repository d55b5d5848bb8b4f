// Reads /proc and getrusage().
#include "support/process.hpp"

#include <dirent.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include <array>
#include <cstdlib>
#include <fstream>

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

std::size_t resident_bytes() {
  std::ifstream statm("/proc/self/statm");
  std::size_t total = 0, resident = 0;
  statm >> total >> resident;
  return resident * static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
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

Duration processor_time() {
  timespec time{};
  ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
  return std::chrono::seconds(time.tv_sec) + std::chrono::nanoseconds(time.tv_nsec);
}

}  // namespace event_cpp::test

// Which call fails, and how many there were.
#include <dlfcn.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstdlib>
#include <cstring>
#include <string_view>

#include "calls.hpp"

namespace event_cpp::faults {
namespace {

// Without a file to write to, and before there is one.
constinit Report unseen{};
constinit Report* report = &unseen;
constinit Plan plan{};
constinit std::atomic<bool> armed = false;
constinit bool is_child = false;

// Never allocated on first use, as other thread-local variables of a library may be.
[[gnu::tls_model("initial-exec")]] constinit thread_local int exempt = 0;

[[noreturn]] void refuse(std::string_view what) noexcept {
  static_cast<void>(::write(STDERR_FILENO, what.data(), what.size()));
  ::_exit(126);
}

template <class T>
bool parse_number(std::string_view& text, T& number) noexcept {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  text.remove_prefix(static_cast<std::size_t>(end - text.data()));
  return error == std::errc{};
}

bool parse(std::string_view text) noexcept {
  const std::size_t colon = text.find(':');
  if (colon == std::string_view::npos) return false;
  const auto named = std::find(kNames.begin(), kNames.end(), text.substr(0, colon));
  if (named == kNames.end()) return false;
  plan.call = static_cast<Call>(named - kNames.begin());
  text.remove_prefix(colon + 1);
  if (!parse_number(text, plan.error) || !text.starts_with(':')) return false;
  text.remove_prefix(1);
  if (!parse_number(text, plan.nth) || plan.nth == 0) return false;
  plan.from_then_on = text == "+";
  return plan.from_then_on || text.empty();
}

void open_report(const char* path) noexcept {
  const int fd = ::open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (fd < 0 || ::ftruncate(fd, sizeof(Report)) != 0) refuse("EVENT_FAULT_REPORT: no such file\n");
  void* const mapped = ::mmap(nullptr, sizeof(Report), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  if (mapped == MAP_FAILED) refuse("EVENT_FAULT_REPORT: cannot be mapped\n");
  ::close(fd);
  auto* const fresh = static_cast<Report*>(mapped);
  fresh->size = kCalls;
  for (std::size_t i = 0; i < kCalls; ++i) {
    std::strncpy(fresh->counted[i].name.data(), kNames[i], fresh->counted[i].name.size() - 1);
  }
  fresh->blocks = unseen.blocks.load();
  fresh->bytes = unseen.bytes.load();
  report = fresh;
}

[[gnu::constructor]] void begin() noexcept {
  if (const char* const path = std::getenv("EVENT_FAULT_REPORT")) open_report(path);
  if (const char* const text = std::getenv("EVENT_FAULT"); text != nullptr && !parse(text)) {
    refuse("EVENT_FAULT: expected call:errno:n or call:errno:n+\n");
  }
  // What the program runs is another program.
  ::unsetenv("LD_PRELOAD");
}

using Main = int(int, char**, char**);
Main* real_main = nullptr;

int armed_main(int count, char** arguments, char** environment) {
  armed = true;
  const int status = real_main(count, arguments, environment);
  armed = false;
  return status;
}

bool is_of_memory(Call call) noexcept {
  return call == Call::calloc || call == Call::malloc || call == Call::openssl_malloc ||
         call == Call::realloc;
}

}  // namespace

bool fails(Call call) noexcept {
  if (!armed.load(std::memory_order_relaxed) || exempt > 0) return false;
  const std::uint64_t nth = ++report->counted[static_cast<std::size_t>(call)].calls;
  if (call != plan.call || nth < plan.nth || (nth > plan.nth && !plan.from_then_on)) return false;
  if (is_of_memory(call) && nth >= plan.nth + kLongestShortage) return false;
  ++report->injected;
  errno = plan.error;
  return true;
}

void count_memory(std::int64_t blocks, std::int64_t bytes) noexcept {
  if (is_child) return;
  report->blocks += blocks;
  report->bytes += bytes;
}

void be_child() noexcept { is_child = true; }

}  // namespace event_cpp::faults

using event_cpp::faults::armed_main;
using event_cpp::faults::exempt;
using event_cpp::faults::real_main;
using event_cpp::faults::report;

extern "C" {

[[gnu::visibility("default")]] void event_faults_exempt(int change) noexcept { exempt += change; }

[[gnu::visibility("default")]] std::int64_t event_faults_blocks() noexcept {
  return report->blocks;
}

[[gnu::visibility("default")]] bool event_faults_fails_in_openssl() noexcept {
  return event_cpp::faults::fails(event_cpp::faults::Call::openssl_malloc);
}

// The C library's, which calls main.
[[gnu::visibility("default")]] int __libc_start_main(event_cpp::faults::Main* main, int count,
                                                     char** arguments, void (*init)(),
                                                     void (*fini)(), void (*end)(), void* stack) {
  using Start =
      int(event_cpp::faults::Main*, int, char**, void (*)(), void (*)(), void (*)(), void*);
  auto* const next = reinterpret_cast<Start*>(::dlsym(RTLD_NEXT, "__libc_start_main"));
  real_main = main;
  return next(&armed_main, count, arguments, init, fini, end, stack);
}

}  // extern "C"

// Installs a filter of seccomp(2).
#include "support/seccomp.hpp"

#if defined(__linux__)

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

namespace event_cpp::test {

namespace {

sock_filter statement(int code, std::uint32_t value) {
  return {static_cast<std::uint16_t>(code), 0, 0, value};
}

// Goes on if what was loaded is `value`, else behind the next `skipped` statements.
sock_filter expect(std::uint32_t value, std::uint8_t skipped) {
  sock_filter jump = statement(BPF_JMP | BPF_JEQ | BPF_K, value);
  jump.jf = skipped;
  return jump;
}

sock_filter load(std::size_t offset) {
  return statement(BPF_LD | BPF_W | BPF_ABS, static_cast<std::uint32_t>(offset));
}

sock_filter refuse(int error) {
  return statement(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | static_cast<std::uint32_t>(error));
}

// What the program does not refuse is allowed.
bool install(std::vector<sock_filter> program) {
  program.push_back(statement(BPF_RET | BPF_K, SECCOMP_RET_ALLOW));
  const sock_fprog filter{static_cast<unsigned short>(program.size()), program.data()};
  return ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
         ::prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter) == 0;
}

}  // namespace

bool can_refuse_calls() {
  return ::prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, nullptr) != 0 && errno == EFAULT;
}

bool refuse_calls(std::initializer_list<long> numbers, int error) {
  std::vector<sock_filter> program{load(offsetof(seccomp_data, nr))};
  for (const long number : numbers) {
    program.push_back(expect(static_cast<std::uint32_t>(number), 1));
    program.push_back(refuse(error));
  }
  return install(std::move(program));
}

bool refuse_ipv6() {
  // The low half of the first argument is the family.
  return install({load(offsetof(seccomp_data, nr)), expect(SYS_socket, 3),
                  load(offsetof(seccomp_data, args)), expect(AF_INET6, 1), refuse(EAFNOSUPPORT)});
}

}  // namespace event_cpp::test

#else

namespace event_cpp::test {

bool can_refuse_calls() { return false; }
bool refuse_calls(std::initializer_list<long>, int) { return false; }
bool refuse_ipv6() { return false; }

}  // namespace event_cpp::test

#endif

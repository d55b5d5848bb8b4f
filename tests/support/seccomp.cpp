// Installs a filter of seccomp(2).
#include "support/seccomp.hpp"

#if defined(__linux__)

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>

#include <cstddef>
#include <cstdint>
#include <vector>

namespace event_cpp::test {

bool refuse_calls(std::initializer_list<long> numbers, int error) {
  const auto statement = [](int code, std::uint32_t value) {
    return sock_filter{static_cast<std::uint16_t>(code), 0, 0, value};
  };
  std::vector<sock_filter> program{statement(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr))};
  for (const long number : numbers) {
    sock_filter skip = statement(BPF_JMP | BPF_JEQ | BPF_K, static_cast<std::uint32_t>(number));
    skip.jf = 1;
    program.push_back(skip);
    program.push_back(
        statement(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | static_cast<std::uint32_t>(error)));
  }
  program.push_back(statement(BPF_RET | BPF_K, SECCOMP_RET_ALLOW));

  const sock_fprog filter{static_cast<unsigned short>(program.size()), program.data()};
  return ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
         ::prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter) == 0;
}

}  // namespace event_cpp::test

#else

namespace event_cpp::test {

bool refuse_calls(std::initializer_list<long>, int) { return false; }

}  // namespace event_cpp::test

#endif

// What the clients of bench/adapters have in common:
//   bench_adapters_NAME ADDRESS WAITING REQUESTS
// sends so many requests, of which so many wait for an answer at any time, and prints for one of
// them: nanoseconds, and processor time in user and kernel mode.
#pragma once

#include <sys/resource.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>

namespace bench {

struct Arguments {
  const char* address;
  int waiting;
  int requests;
};

inline Arguments arguments(int argc, char** argv) {
  if (argc < 4) {
    std::fprintf(stderr, "usage: %s ADDRESS WAITING REQUESTS\n", argv[0]);
    std::exit(2);
  }
  return {argv[1], std::atoi(argv[2]), std::atoi(argv[3])};
}

class Stopwatch {
 public:
  // Since it was made.
  void print(int requests) const {
    const double wall = std::chrono::duration<double, std::nano>(Clock::now() - begin_).count();
    std::printf("%.0f %.0f\n", wall / requests, (cpu() - cpu_) / requests);
  }

 private:
  using Clock = std::chrono::steady_clock;
  static double cpu() {
    rusage used{};
    ::getrusage(RUSAGE_SELF, &used);
    const auto nanoseconds = [](const timeval& time) {
      return 1e9 * static_cast<double>(time.tv_sec) + 1e3 * static_cast<double>(time.tv_usec);
    };
    return nanoseconds(used.ru_utime) + nanoseconds(used.ru_stime);
  }

  Clock::time_point begin_ = Clock::now();
  double cpu_ = cpu();
};

}  // namespace bench

// What a run found, and how the program that drives it is told.
#pragma once

#include <cinttypes>
#include <cstdint>
#include <cstdio>
#include <vector>

namespace bench {

struct Figure {
  const char* name;
  double value;
};
using Figures = std::vector<Figure>;

// Says "ready", and then for each number of operations that is read from the standard input runs
// so many and writes a line of names and values. Returns at the end of the input.
template <class Workload>
int serve(Workload& workload) {
  std::puts("ready");
  std::fflush(stdout);
  for (std::uint64_t operations = 0; std::scanf("%" SCNu64, &operations) == 1;) {
    for (const Figure& figure : workload.run(operations)) {
      std::printf("%s %.12g ", figure.name, figure.value);
    }
    std::puts("");
    std::fflush(stdout);
  }
  return 0;
}

}  // namespace bench

// Years of timers, tickers, alarms and idle timeouts on a manual clock, with jumps of the wall
// clock, stalls, and whatever programs do to their events; an oracle says what must fire and when.
//
//   endurance [--days N] [--seed N] [--backend NAME]
//
// Without options: fifteen days on each backend, in a second or two.
#include <getopt.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <iterator>
#include <string>
#include <vector>

#include "endurance/world.hpp"

namespace event_cpp::endurance {
namespace {

using namespace std::chrono_literals;
using Days = std::chrono::duration<double, std::ratio<86400>>;
using Seconds = std::chrono::duration<double>;

constexpr const char* kBackendNames[] = {"automatic", "epoll", "kqueue", "poll"};

struct Settings {
  long days = 15;
  unsigned seed = 1;
  std::vector<Backend> backends;
};

const char* name_of(Backend backend) { return kBackendNames[static_cast<std::size_t>(backend)]; }

// A world after another, until it is over.
void live(Backend backend, const Settings& settings, Figures& figures, Duration& took) {
  WatchedTime time;
  Random random(settings.seed);
  const TimePoint start = time.now();
  const TimePoint end = start + settings.days * 24h;
  while (time.now() < end) {
    Options options;
    options.backend = backend;
    options.time = &time;
    options.slice = ~std::size_t{0};
    if (random.one_in(4)) options.slack = between(1ns, 1h, random);
    const Duration span = random.one_in(500) ? between(30 * 24h, 2 * 365 * 24h, random)
                                             : between(1h, 10 * 24h, random);
    const TimePoint until = time.now() + span;
    World(options, time, random, figures).run(std::min(until, end));
    took = time.now() - start;
  }
}

void print(const Figures& seen) {
  const auto line = [](const char* what, std::uint64_t count) {
    std::printf("  %-22s %llu\n", what, static_cast<unsigned long long>(count));
  };
  line("bases", seen.worlds);
  line("iterations", seen.iterations);
  line("timers", seen.fired[0]);
  line("tickers", seen.fired[1]);
  line("  periods missed", seen.missed);
  line("alarms", seen.fired[2]);
  line("idle timeouts and data", seen.fired[3]);
  line("posts", seen.fired[4]);
  line("clock set forward", seen.jumps_forward);
  line("clock set back", seen.jumps_back);
  line("stalls", seen.stalls);
  line("pushed later", seen.pushed_later);
  line("pushed earlier", seen.pushed_earlier);
  line("cancelled", seen.cancelled);
  line("destroyed", seen.destroyed);
  line("loops cut short", seen.interrupted);
}

bool run(Backend backend, const Settings& settings) {
  Figures figures;
  Duration simulated{};
  std::printf("%s, seed %u", name_of(backend), settings.seed);
  std::fflush(stdout);
  const auto start = std::chrono::steady_clock::now();
  const std::clock_t began = std::clock();
  std::string wrong;
  try {
    live(backend, settings, figures, simulated);
  } catch (const Wrong& what) {
    wrong = what.what();
  }
  const Seconds took = std::chrono::steady_clock::now() - start;
  const double processor = static_cast<double>(std::clock() - began) / CLOCKS_PER_SEC;
  std::printf(": %.1f days in %.2f s, %.2f s of the processor; %llu firings\n",
              std::chrono::duration_cast<Days>(simulated).count(), took.count(), processor,
              static_cast<unsigned long long>(figures.all_fired()));
  print(figures);
  std::printf("  %-22s %s\n", "verdict",
              wrong.empty() ? "each at its time, none lost, none twice" : "FAILED");
  if (!wrong.empty()) std::printf("FAILED: %s\n", wrong.c_str());
  std::fflush(stdout);
  return wrong.empty();
}

[[noreturn]] void usage() {
  std::fprintf(stderr, "usage: endurance [--days N] [--seed N] [--backend NAME]\n");
  std::exit(2);
}

Settings parse(int argc, char** argv) {
  Settings chosen;
  static constexpr option kOptions[] = {{"days", required_argument, nullptr, 'd'},
                                        {"seed", required_argument, nullptr, 's'},
                                        {"backend", required_argument, nullptr, 'b'},
                                        {}};
  for (int which = 0; (which = ::getopt_long(argc, argv, "", kOptions, nullptr)) != -1;) {
    if (which == 'd') {
      chosen.days = std::strtol(optarg, nullptr, 10);
    } else if (which == 's') {
      chosen.seed = static_cast<unsigned>(std::strtoul(optarg, nullptr, 10));
    } else if (which == 'b') {
      for (const Backend each : Base::backends()) {
        if (std::string(optarg) == name_of(each)) chosen.backends.push_back(each);
      }
      if (chosen.backends.empty()) usage();
    } else {
      usage();
    }
  }
  if (chosen.backends.empty()) chosen.backends = Base::backends();
  return chosen;
}

}  // namespace
}  // namespace event_cpp::endurance

int main(int argc, char** argv) {
  using namespace event_cpp::endurance;
  const Settings settings = parse(argc, argv);
  const auto failed = std::ranges::count_if(
      settings.backends, [&](event::Backend backend) { return !run(backend, settings); });
  return failed == 0 ? 0 : 1;
}

// Threads that post to bases, stop them and destroy them, all at once, and a ledger which says that
// each post ran exactly once and in its thread's order, or that its base died first, and that no
// stop and no signal was lost.
//
//   stress [--lives N | --seconds N] [--seed N] [--threads N] [--homes N] [--patience SECONDS]
//          [--backend NAME]
//
// Without options: a hundred bases, in a few seconds.
#include <getopt.h>
#include <signal.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <iterator>
#include <string>
#include <thread>
#include <vector>

#include "stress/actor.hpp"
#include "stress/owner.hpp"
#include "stress/world.hpp"

namespace event_cpp::stress {
namespace {

using namespace std::chrono_literals;
using Seconds = std::chrono::duration<double>;

constexpr const char* kBackendNames[] = {"automatic", "epoll", "kqueue", "poll"};
constexpr const char* kDriveNames[kDrives] = {"dispatch", "once", "poll(2)", "nested", "never"};

// Until it has been going on for long enough; looks for hangs meanwhile.
void wait_for_the_end(World& world) {
  const auto start = std::chrono::steady_clock::now();
  const auto is_over = [&] {
    return world.settings.length > 0s
               ? std::chrono::steady_clock::now() - start >= world.settings.length
               : world.figures.bases >= world.settings.lives;
  };
  while (!is_over()) {
    std::this_thread::sleep_for(20ms);
    world.look_for_hangs();
  }
}

// What comes between the end of the actors and the end of the owners is bounded as well.
void join(World& world, std::vector<std::thread>& threads, auto&& meanwhile) {
  std::atomic<bool> joined{false};
  std::thread watch([&] {
    while (!joined) {
      meanwhile();
      std::this_thread::sleep_for(1ms);
      world.look_for_hangs();
    }
  });
  for (std::thread& thread : threads) thread.join();
  joined = true;
  watch.join();
}

void run(World& world) {
  std::vector<std::thread> owners;
  for (std::size_t i = 0; i < world.settings.homes; ++i) {
    owners.emplace_back([&world, i] { Owner(world, i).run(); });
  }
  std::vector<std::thread> actors;
  for (std::size_t i = 0; i < world.settings.actors; ++i) {
    actors.emplace_back([&world, i] { Actor(world, i).run(); });
  }
  wait_for_the_end(world);
  world.over = true;
  join(world, actors, [] {});
  join(world, owners, [&] { std::ranges::for_each(world.homes, end_from_outside); });
  Random random(world.settings.seed);
  while (auto tenancy = world.take_over()) bury(world, std::move(tenancy), random, true);
}

void print(const World& world, Seconds took) {
  const Figures& seen = world.figures;
  const auto number = [](const std::atomic<std::uint64_t>& of) {
    return static_cast<unsigned long long>(of.load());
  };
  std::printf("seed                  %u\n", world.settings.seed);
  std::printf("threads               %zu, and %zu that run bases\n", world.settings.actors,
              world.settings.homes);
  std::printf("posts made            %llu\n", number(seen.posted));
  std::printf("  run once            %llu\n", number(seen.run));
  std::printf("  destroyed unrun     %llu\n", number(seen.unrun));
  std::printf("  that threw          %llu\n", number(seen.thrown));
  std::uint64_t stops = 0;
  for (const Home& home : world.homes) stops += home.stops;
  std::printf("stops                 %llu\n", static_cast<unsigned long long>(stops));
  std::printf("returns of the loop   %llu\n", number(seen.returns));
  std::printf("signals               %llu\n", number(seen.signals));
  std::printf("bases                 %llu\n", number(seen.bases));
  for (std::size_t i = 1; i < std::size(kBackendNames); ++i) {
    if (seen.by_backend[i] == 0) continue;
    std::printf("  on %-16s %llu\n", kBackendNames[i], number(seen.by_backend[i]));
  }
  for (std::size_t i = 0; i < kDrives; ++i) {
    std::printf("  run by %-12s %llu\n", kDriveNames[i], number(seen.by_drive[i]));
  }
  std::printf("  run dry first       %llu\n", number(seen.drained));
  std::printf("  handed over         %llu\n", number(seen.handed_over));
  std::printf("  gone during a call  %llu\n", number(seen.ended_from_outside));
  std::printf("longest wait          %.1f ms\n", static_cast<double>(seen.longest_wait) / 1e6);
  std::printf("time                  %.1f s, %.0f posts a second\n", took.count(),
              static_cast<double>(seen.posted) / took.count());
  std::printf("verdict               nothing lost, nothing twice, nothing out of turn\n");
}

[[noreturn]] void usage() {
  std::fprintf(stderr,
               "usage: stress [--lives N | --seconds N] [--seed N] [--threads N] [--homes N]\n"
               "              [--patience SECONDS] [--backend NAME]\n");
  std::exit(2);
}

Backend backend_called(const std::string& name) {
  for (const Backend each : Base::backends()) {
    if (name == kBackendNames[static_cast<std::size_t>(each)]) return each;
  }
  std::fprintf(stderr, "stress: no such backend here: %s\n", name.c_str());
  std::exit(2);
}

Settings parse(int argc, char** argv) {
  Settings chosen;
  static constexpr option kOptions[] = {
      {"lives", required_argument, nullptr, 'l'},   {"seconds", required_argument, nullptr, 't'},
      {"seed", required_argument, nullptr, 's'},    {"threads", required_argument, nullptr, 'n'},
      {"homes", required_argument, nullptr, 'h'},   {"patience", required_argument, nullptr, 'p'},
      {"backend", required_argument, nullptr, 'b'}, {}};
  for (int which = 0; (which = ::getopt_long(argc, argv, "", kOptions, nullptr)) != -1;) {
    if (which == 'b') {
      chosen.backends = {backend_called(optarg)};
      continue;
    }
    const unsigned long number = which == '?' ? 0 : std::strtoul(optarg, nullptr, 10);
    switch (which) {
      case 'l':
        chosen.lives = number;
        break;
      case 't':
        chosen.length = std::chrono::seconds(number);
        break;
      case 's':
        chosen.seed = static_cast<unsigned>(number);
        break;
      case 'n':
        chosen.actors = std::clamp<std::size_t>(number, 1, 100);
        break;
      case 'h':
        chosen.homes = std::clamp<std::size_t>(number, 1, 20);
        break;
      case 'p':
        chosen.patience = std::chrono::seconds(number);
        break;
      default:
        usage();
    }
  }
  if (chosen.backends.empty()) chosen.backends = Base::backends();
  return chosen;
}

int main_of(int argc, char** argv) {
  World world(parse(argc, argv));
  the_world = &world;
  // Between two bases nobody waits for them.
  for (const Home& home : world.homes) ::signal(signal_of(home), SIG_IGN);
  const auto start = std::chrono::steady_clock::now();
  std::printf("stress: seed %u\n", world.settings.seed);
  std::fflush(stdout);
  run(world);
  print(world, std::chrono::steady_clock::now() - start);
  return 0;
}

}  // namespace
}  // namespace event_cpp::stress

int main(int argc, char** argv) { return event_cpp::stress::main_of(argc, argv); }

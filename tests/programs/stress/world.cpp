#include "stress/world.hpp"

#include <cstdio>
#include <cstdlib>
#include <sstream>
#include <utility>

#include "stress/functions.hpp"

namespace event_cpp::stress {
namespace {

// Runs what is outstanding. Each run that gets nothing done must have met a stop, and there can be
// but one: nobody asks for another one any more.
void run_dry(World& world, Tenancy& tenancy) {
  int idle = 0;
  while (!tenancy.is_done()) {
    const std::uint64_t before = tenancy.ledger.runs();
    const std::uint64_t seen = tenancy.seen;
    try {
      tenancy.base->loop(RunMode::nonblock);
    } catch (const Thrown&) {
      ++world.figures.thrown;
    }
    const bool idles = tenancy.ledger.runs() == before && tenancy.seen == seen;
    idle = idles ? idle + 1 : 0;
    if (idle > 3 && !tenancy.ledger.all_ran()) {
      fail("posts that run although nothing hinders them", tenancy.ledger.runs(),
           tenancy.ledger.posted());
    }
    if (idle > 3) fail("signals that are seen", tenancy.seen, tenancy.raised);
  }
}

}  // namespace

[[noreturn]] void fail(const char* what, std::uint64_t is, std::uint64_t shall_be) {
  std::printf("FAILED: %s: %llu, and should be %llu\n", what, static_cast<unsigned long long>(is),
              static_cast<unsigned long long>(shall_be));
  if (the_world != nullptr) std::printf("%s", the_world->report().c_str());
  std::fflush(stdout);
  std::abort();
}

std::chrono::nanoseconds Doing::age() const noexcept {
  if (what_.load(std::memory_order_acquire) == nullptr) return {};
  const std::chrono::steady_clock::duration since(since_.load(std::memory_order_relaxed));
  return std::chrono::steady_clock::now().time_since_epoch() - since;
}

std::string Doing::describe() const {
  const char* const what = what_.load(std::memory_order_acquire);
  if (what == nullptr) return {};
  const auto milliseconds = std::chrono::duration_cast<std::chrono::milliseconds>(age()).count();
  std::ostringstream out;
  out << who_ << " " << what << " home " << home_.load() << " for " << milliseconds << " ms";
  return out.str();
}

World::World(const Settings& chosen) : settings(chosen) {
  for (std::size_t i = 0; i < settings.homes; ++i) homes.emplace_back(i, i % 2 == 1);
  for (std::size_t i = 0; i < settings.actors; ++i) {
    doing.emplace_back("thread " + std::to_string(i));
  }
  for (std::size_t i = 0; i < settings.homes; ++i) {
    doing.emplace_back("owner of home " + std::to_string(i));
  }
}

void World::hand_over(std::unique_ptr<Tenancy> tenancy) {
  const std::lock_guard lock(mutex_);
  left_.push_back(std::move(tenancy));
}

std::unique_ptr<Tenancy> World::take_over() {
  const std::lock_guard lock(mutex_);
  if (left_.empty()) return nullptr;
  auto tenancy = std::move(left_.back());
  left_.pop_back();
  return tenancy;
}

void World::look_for_hangs() const {
  for (const Doing& each : doing) {
    if (each.age() < settings.patience) continue;
    fail("a wait that ends, in seconds",
         static_cast<std::uint64_t>(each.age().count() / 1'000'000'000), 0);
  }
}

std::string World::report() const {
  std::ostringstream out;
  out << "seed " << settings.seed << "\n";
  for (const Doing& each : doing) {
    if (const std::string line = each.describe(); !line.empty()) out << "  " << line << "\n";
  }
  for (const Home& home : homes) {
    out << "  home " << home.number << (home.lonely ? ", lonely" : ", crowded")
        << (home.ending ? ", ending" : "") << ": entered " << home.entered << ", returned "
        << home.returned << ", stops " << home.stops << "\n";
  }
  return out.str();
}

void World::count_wait(std::chrono::nanoseconds took) noexcept {
  std::int64_t longest = figures.longest_wait.load(std::memory_order_relaxed);
  while (longest < took.count() &&
         !figures.longest_wait.compare_exchange_weak(longest, took.count())) {
  }
}

void bury(World& world, std::unique_ptr<Tenancy> tenancy, Random& random, bool drain) {
  if (drain) {
    run_dry(world, *tenancy);
    ++world.figures.drained;
  }
  if (random.one_in(2)) {  // base and events may go in either order
    tenancy->signal.reset();
    tenancy->ticker.reset();
  }
  const Backend backend = tenancy->base->backend();
  tenancy->base.reset();
  const std::uint64_t unrun = tenancy->ledger.close();
  if (drain && unrun != 0) fail("posts that a base which was run dry left", unrun, 0);
  world.figures.posted += tenancy->ledger.posted();
  world.figures.run += tenancy->ledger.runs();
  world.figures.unrun += unrun;
  ++world.figures.by_drive[static_cast<std::size_t>(tenancy->drive)];
  ++world.figures.by_backend[static_cast<std::size_t>(backend)];
  ++world.figures.bases;
}

}  // namespace event_cpp::stress

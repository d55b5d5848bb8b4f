// One contender, one workload. Compiled once for each contender, with its header.
//
//   bench_NAME WORKLOAD [SIZE [ACTIVE]]
//
// Says "ready"; for each number of operations on the standard input runs so many, and writes what
// they took. Ends with 3 if the contender lacks what the workload needs. The workloads are listed
// in workloads(). Of timers, ACTIVE is how many share each deadline.
#include BENCH_CONTENDER_HEADER

#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <map>
#include <string_view>
#include <system_error>

#include "support/figures.hpp"
#include "support/system.hpp"
#include "workloads/changes.hpp"
#include "workloads/coroutines.hpp"
#include "workloads/echo.hpp"
#include "workloads/lateness.hpp"
#include "workloads/memory.hpp"
#include "workloads/passing.hpp"
#include "workloads/posts.hpp"
#include "workloads/signals.hpp"
#include "workloads/timers.hpp"

namespace {

using namespace bench;

constexpr int kUnsupported = 3;

struct Sizes {
  std::size_t size;
  std::size_t active;
};
using Run = int (*)(Sizes);

// Never destroyed: the process just ends.
template <class Workload, class... Arguments>
int serve_new(Arguments... arguments) {
  return serve(*new Workload(arguments...));
}

template <class C, class Tokens, template <class> class Watch, bool kOneShot = false>
int pass(Sizes sizes) {
  return serve_new<Passing<C, Tokens, Watch, kOneShot>>(sizes.size, sizes.active);
}

template <class C, Change kChange>
int change(Sizes) {
  return serve_new<Changes<C, kChange>>();
}

template <class C>
struct Take {
  template <class H>
  using Drained = typename DrainedFor<C, H>::Type;
};

template <class C>
void add_descriptors(std::map<std::string_view, Run>& all) {
  all["ready"] = &pass<C, Full, C::template Read>;
  all["ring"] = &pass<C, Ring, Take<C>::template Drained>;
  all["pairs"] = &pass<C, Pairs, Take<C>::template Drained>;
  if constexpr (HasOneShot<C>) {
    all["ring-oneshot"] = &pass<C, Ring, C::template OneShot, true>;
    all["pairs-oneshot"] = &pass<C, Pairs, C::template OneShot, true>;
  }
  if constexpr (HasIdleRead<C>) {
    all["ready-timeout"] = &pass<C, Full, C::template IdleRead>;
    all["ring-timeout"] = &pass<C, Ring, C::template IdleRead>;
  }
  all["empty"] = &change<C, Change::none>;
  all["change-between"] = &change<C, Change::between>;
  all["change-waited"] = &change<C, Change::waited>;
  if constexpr (requires { C::kDestroyingStops; }) {
    all["change-destroyed"] = &change<C, Change::destroyed>;
  }
  all["idle"] = [](Sizes) {
    auto* const workload = new Changes<C, Change::none>;
    std::puts("ready");
    std::fflush(stdout);
    workload->idle();
    return 0;
  };
  all["echo"] = [](Sizes) {
    serve_echo<C>();
    return 0;
  };
}

template <class C>
void add_timers(std::map<std::string_view, Run>& all) {
  if constexpr (HasTimer<C>) {
    all["timers"] = [](Sizes sizes) { return serve_new<Timers<C>>(sizes.size, sizes.active); };
    all["timers-fire"] = [](Sizes sizes) { return serve_new<Firing<C>>(sizes.size, sizes.active); };
    all["late"] = [](Sizes) { return serve_new<Lateness<C>>(); };
  }
}

template <class C>
void add_others(std::map<std::string_view, Run>& all) {
  if constexpr (HasPost<C>) {
    all["posts"] = [](Sizes) { return serve_new<Posts<C, false>>(); };
    all["post-trip"] = [](Sizes) { return serve_new<Posts<C, true>>(); };
  }
  if constexpr (HasSignal<C>) {
    all["signal"] = [](Sizes) { return serve_new<Signals<C>>(); };
  }
  if constexpr (requires { C::template Read<NoHandler>::kBytes; }) {
    using Read = typename C::template Read<NoHandler>;
    all["memory-read"] = [](Sizes) { return serve_new<WatchMemory<C, Read>>(); };
  }
  if constexpr (HasIdleRead<C>) {
    using IdleRead = typename C::template IdleRead<NoHandler>;
    all["memory-idle"] = [](Sizes) { return serve_new<WatchMemory<C, IdleRead>>(); };
  }
  if constexpr (HasTimer<C>) {
    all["memory-timer"] = [](Sizes) { return serve_new<TimerMemory<C>>(); };
  }
}

template <class C, template <class> class Body>
int await(Sizes sizes) {
  return serve_new<Coroutines<C, Body>>(sizes.size);
}

template <class C>
void add_coroutines(std::map<std::string_view, Run>& all) {
  if constexpr (HasCoroutines<C>) {
    using Co = typename C::Coroutines;
    all["co-child"] = &await<C, Child>;
    all["co-child-waits"] = &await<C, WaitingChild>;
    all["co-spawn"] = &await<C, Spawn>;
    all["co-switch"] = &await<C, Switch>;
    all["co-sleep"] = &await<C, Sleep>;
    all["co-read"] = &await<C, ReadOften>;
    all["co-channel"] = &await<C, Hops>;
    all["co-timeout"] = &await<C, Limited>;
    all["co-cancel"] = &await<C, Cancel>;
    if constexpr (requires { typename Co::Semaphore; }) all["co-semaphore"] = &await<C, Turns>;
    all["memory-frame"] = [](Sizes) { return serve_new<TaskMemory<C, false>>(); };
    all["memory-task"] = [](Sizes) { return serve_new<TaskMemory<C, true>>(); };
  }
}

std::map<std::string_view, Run> workloads() {
  std::map<std::string_view, Run> all;
  add_descriptors<BENCH_CONTENDER>(all);
  add_timers<BENCH_CONTENDER>(all);
  add_others<BENCH_CONTENDER>(all);
  add_coroutines<BENCH_CONTENDER>(all);
  return all;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 2) {
    std::fputs("usage: bench_NAME WORKLOAD [SIZE [ACTIVE]]\n", stderr);
    return 2;
  }
  raise_descriptor_limit();
  const auto all = workloads();
  const auto found = all.find(argv[1]);
  if (found == all.end()) return kUnsupported;
  const auto number = [&](int i) { return argc > i ? std::strtoul(argv[i], nullptr, 10) : 1; };
  int status = kUnsupported;
  try {
    status = found->second({number(2), number(3)});
  } catch (const std::system_error& error) {
    std::fprintf(stderr, "%s\n", error.what());  // a backend that this system lacks
  }
  std::fflush(stdout);
  ::_exit(status);
}

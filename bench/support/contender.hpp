// What a contender is: a class with the types below, a thin layer over one library, so that each
// workload is written once. Handlers are called directly, as `handler(watch)`; nothing is between
// the library and them but the function that it wants. What a contender lacks is left out.
//
// - Loop: run() until stop(); poll(): one look, no waiting; stop() in a handler; settle(): delivers
//   what a cancelled timer still has to say; refresh(): takes the time anew, where a loop keeps a
//   copy; post(Task) from another thread. Loop(true) asks for precise timers, Loop(false, true) for
//   what posting needs.
// - Read<H>: (loop, fd, handler), persistent; start(), stop(); kBytes: of the library's object
// - Drained<H>: the same, if something cheaper will do for handlers that take all there is
// - OneShot<H>: fires once, until start() again, in the handler
// - IdleRead<H>: Read with an idle timeout of kIdleSeconds, started anew by activity
// - Timer<H>: (loop, handler), one-shot; start(ns), later(ns): pushes it back, cancel()
// - Signal<H>: (loop, number, handler), persistent; start()
// - EchoServer: (listener); run(); instead of the common one on Read
// - Coroutines: Task<T>; run(loop, task): until it has ended; Group(loop): spawn(task),
//   spawn_to_cancel(task): one at a time, cancel(); and what is awaited: Group::join(),
//   yield(loop), Sleeper(loop).sleep(ns), Readable(loop, fd).wait(), Channel(loop,
//   capacity).send(int) and .receive(), Semaphore(loop).acquire(), which has no permits before
//   release(), with_timeout(loop, ns, task)
#pragma once

#include <cstdint>
#include <cstdio>
#include <cstdlib>

namespace bench {

constexpr int kIdleSeconds = 10;

// A handler that says what a contender has to take.
struct NoHandler {
  void operator()(auto&) const noexcept {}
};

// No workload leaves a descriptor idle for so long: then it would measure something else.
[[noreturn]] inline void idle_timeout_came() {
  std::fputs("an idle timeout came: the machine is too slow for this workload\n", stderr);
  std::abort();
}

template <class C>
concept HasOneShot = requires { typename C::template OneShot<NoHandler>; };
template <class C>
concept HasIdleRead = requires { typename C::template IdleRead<NoHandler>; };
template <class C>
concept HasTimer = requires { typename C::template Timer<NoHandler>; };
template <class C>
concept HasSignal = requires { typename C::template Signal<NoHandler>; };
template <class C>
concept HasDrained = requires { typename C::template Drained<NoHandler>; };
template <class C>
concept HasEchoServer = requires { typename C::EchoServer; };
template <class C>
concept HasCoroutines = requires { typename C::Coroutines; };
template <class C>
concept HasPost = requires { &C::Loop::post; };

template <class C, class H>
struct DrainedFor {
  using Type = typename C::template Read<H>;
};
template <HasDrained C, class H>
struct DrainedFor<C, H> {
  using Type = typename C::template Drained<H>;
};

}  // namespace bench

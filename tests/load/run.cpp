#include "load/run.hpp"

#include <algorithm>
#include <iostream>

namespace load {

using namespace std::chrono_literals;

namespace {

std::chrono::milliseconds in_milliseconds(Span span) {
  return std::chrono::duration_cast<std::chrono::milliseconds>(span);
}

}  // namespace

Run::Run(const RunOptions& options, const ServerProgram& program, const std::string& backend)
    : options_(options),
      reserve_(program.reserve),
      report_{.server_name = program.name + ", " + backend,
              .connections = options.connections,
              .least_held = options.connections},
      server_(program.path, backend, options.meter),
      crowd_(server_.port(), options.crowd),
      world_(crowd_.world()),
      late_(std::min(options.connections / 10 + 20, world_.queue())),
      own_descriptors_(server_.descriptors().count) {
  for (const Share& share : kMix) {
    for (std::size_t i = 0; i < options.connections * share.percent / 100; ++i) {
      crowd_.add(share.role);
    }
  }
  while (crowd_.size() < options.connections) crowd_.add(Role::steady);
  for (std::size_t i = 0; i < late_; ++i) crowd_.add(Role::late);
}

Report Run::carry_out() {
  try {
    warm_up();
    for (unsigned i = 1; i <= options_.rounds; ++i) {
      round(i);
      if (i == (options_.rounds + 1) / 2) run_out_of_descriptors();
    }
    finish();
  } catch (const GivenUp&) {
    say("gives up");
  }
  report_.tally = std::move(world_.tally);
  return std::move(report_);
}

void Run::warm_up() {
  say("warms up");
  crowd_.set_mode(Mode::park, 0, crowd_.size());
  until("all are connected", [this] { return world_.parked == crowd_.size(); });
  storm();
  hold_up_everybody();
  leave_at_once();
  come_and_go();
  work(options_.time / options_.rounds / 2);
  world_.tally.latencies.clear();
  world_.tally.stalls = world_.tally.blocked = 0;
  park();
  check_memory("warm", idle_heap_, options_.connections);
  become_empty();
  check_memory("warm", empty_heap_, 0);
}

// Everybody sends while the server is stopped, so that it finds everything ready at once. A batch
// that is full doubles what the next one may hold, so once is not enough.
void Run::storm() {
  constexpr int kDoublings = 8;
  for (int i = 0; i < kDoublings; ++i) {
    server_.pause();
    crowd_.greet_again(0, crowd_.size());
    server_.resume();
    until("all at once are answered", [this] { return world_.parked == crowd_.size(); });
  }
}

// Likewise all leave while the server is stopped: what it lists until its next look at the kernel
// depends on how many it finds gone at once.
void Run::leave_at_once() {
  server_.pause();
  crowd_.set_mode(Mode::retire, 0, crowd_.size());
  server_.resume();
  retire();
}

// Everybody is connected, the late ones too. Then each quarter leaves and comes back in turn. The
// timer queue keeps cancelled timeouts until they are a quarter of it, so it grows by a third.
void Run::come_and_go() {
  crowd_.set_mode(Mode::park, 0, crowd_.size());
  const auto all_are_back = [this] { return world_.parked == crowd_.size(); };
  until("all are connected", all_are_back);
  const std::size_t quarter = crowd_.size() / 4;
  for (std::size_t first = 0; first + quarter <= crowd_.size(); first += quarter) {
    crowd_.leave(first, quarter);
    until("a quarter has left", [&] { return crowd_.all(first, first + quarter, &Session::away); });
    crowd_.set_mode(Mode::park, first, first + quarter);
    until("they are back", all_are_back);
  }
  crowd_.leave(options_.connections, late_);
  park();
}

// The server gets to wait for room to send to each connection, many at a time. It shows in its
// heap: each that waits has a block with what is left to send. Some blocks of other kinds are freed
// meanwhile.
void Run::hold_up_everybody() {
  constexpr std::size_t kAtOnce = 2500;  // kernels have but so much memory for TCP
  for (std::size_t first = 0; first < crowd_.size(); first += kAtOnce) {
    const std::size_t last = std::min(first + kAtOnce, crowd_.size());
    say("holds up clients that do not read");
    const std::optional<Heap> before = server_.heap();
    hold_up(first, last, World::kFlood);
    if (before) {
      const std::size_t waiting = last - first - (last - first) / 16;
      expect(server_.heap()->blocks + reserve_.buffers >= before->blocks + waiting,
             "the server is not held up by clients that do not read");
    }
    catch_up(first, last);
  }
  // One sends all that it can; it fails by itself if there is no end to that.
  hold_up(0, 1, World::kTooMuch);
  catch_up(0, 1);
}

void Run::hold_up(std::size_t first, std::size_t last, std::uint64_t bytes) {
  crowd_.flood(first, last - first, bytes);
  until("the server has done all that it can",
        [&] { return crowd_.still_for(100ms) && server_.sleeping(); });
  most_resident_ = std::max(most_resident_, server_.resident_kib());
}

void Run::catch_up(std::size_t first, std::size_t last) {
  crowd_.set_mode(Mode::park, first, last);
  until("they have caught up", [this] { return world_.parked == crowd_.size(); });
}

void Run::round(unsigned number) {
  const std::string name =
      "round " + std::to_string(number) + " of " + std::to_string(options_.rounds);
  say(name);
  const auto cpu = server_.cpu_time();
  const Time began = Clock::now();
  work(options_.time / options_.rounds);
  report_.work_cpu += server_.cpu_time() - cpu;
  report_.work_time += in_milliseconds(Clock::now() - began);
  park();
  check_memory("after " + name, idle_heap_, options_.connections);
}

void Run::work(Span time) {
  const bool measured = world_.open > 0;
  crowd_.set_mode(Mode::work, 0, options_.connections, world_.span(1s, 1s));
  run(time, [&] {
    if (measured) {
      report_.least_held = std::min(report_.least_held, world_.open);
      report_.most_held = std::max(report_.most_held, world_.open);
    }
    return false;
  });
}

// The limit is such that a part of the late ones still finds room. The others wait, and cost
// nothing; when old ones go, as many come in; and when the limit goes, all do.
void Run::run_out_of_descriptors() {
  say("runs out of descriptors");
  const WatchedServer::Descriptors before = server_.descriptors();
  const std::size_t taken = before.count + before.kept;
  const std::size_t limit = std::max(taken + late_ / 4, before.highest + 1);
  const std::size_t room = limit - taken;
  expect(room < late_, "no shortage: the server's descriptors have too many gaps");
  server_.limit_descriptors(limit);

  const std::size_t all = options_.connections;
  crowd_.set_mode(Mode::park, all, crowd_.size());
  until("the late ones are connected", [&] { return world_.open == all + late_; });
  until("there is no room left", [&] { return world_.parked == all + room; });
  report_.shut_out = late_ - room;
  hold_out(all + room);

  const std::size_t leaving = room / 2;
  crowd_.leave(all, leaving);
  until("those who wait take the places of those who left",
        [&] { return world_.open == all + late_ - leaving && world_.parked == all + room; });
  server_.limit_descriptors(~std::size_t{0} >> 1);
  until("all who waited are let in", [&] { return world_.parked == all + late_ - leaving; });

  crowd_.set_mode(Mode::retire, all, crowd_.size());
  until("the late ones have left", [&] { return world_.open == all; });
  settle(all);
  check_memory("after the shortage", idle_heap_, all);
}

// Nobody gets in, which is cheap, and those who are in are served.
void Run::hold_out(std::size_t parked) {
  until("the server says that new connections wait",
        [this] { return server_.errors().find("new connections wait") != std::string::npos; });
  // It tries again ten times a second.
  report_.shortage = expect_calm("it has no descriptors", 2s, 20);
  expect(world_.parked == parked, "the server went beyond its limit");
  crowd_.greet_again(0, options_.connections);
  until("others are served in the shortage", [&] { return world_.parked == parked; });
}

void Run::finish() {
  become_empty();
  check_memory("at the end", empty_heap_, 0);
  report_.server = server_.stop();
  expect(report_.server.has_value(), "the server did not end well: " + server_.errors());
  if (report_.server) compare(*report_.server);
}

// What the server counted, against what the clients did.
void Run::compare(const ServerStatistics& server) {
  const Tally& tally = world_.tally;
  const auto text = [](std::uint64_t theirs, const char* what, std::uint64_t ours) {
    return "the server counts " + std::to_string(theirs) + what + std::to_string(ours);
  };
  expect(server.connections == tally.connections,
         text(server.connections, " connections, the clients ", tally.connections));
  expect(server.errors == tally.resets,
         text(server.errors, " errors, the clients' resets are ", tally.resets));
  expect(server.idle == 0, "the server closed connections as idle");
  expect(server.received >= tally.sent_orderly &&
             server.received <= tally.sent_orderly + tally.sent_before_reset,
         text(server.received, " bytes received, the clients sent at least ", tally.sent_orderly));
  expect(server.sent >= tally.received && server.sent <= server.received,
         text(server.sent, " bytes sent, the clients received ", tally.received));
}

void Run::park() {
  crowd_.set_mode(Mode::park, 0, options_.connections);
  until("all have come to rest", [this] { return world_.parked == options_.connections; });
  settle(options_.connections);
}

void Run::retire() {
  crowd_.set_mode(Mode::retire, 0, crowd_.size());
  until("all have left", [this] { return crowd_.all(0, crowd_.size(), &Session::away); });
  settle(0);
}

// All leave. The server gives back the memory of a burst every 1024 iterations, so one client sends
// it more messages than that.
void Run::become_empty() {
  constexpr int kMessages = 1100;
  retire();
  crowd_.set_mode(Mode::park, 0, 1);
  const auto answered = [this] { return world_.parked == 1; };
  until("one is connected", answered);
  for (int i = 0; i < kMessages; ++i) {
    crowd_.greet_again(0, 1);
    until("it is answered", answered);
  }
  retire();
}

void Run::settle(std::size_t connections) {
  until("the server has as many connections as there are clients",
        [&] { return server_.descriptors().count == own_descriptors_ + connections; });
  const Calm calm = expect_calm("all connections are idle", 500ms, 20);
  report_.idle.cpu = std::max(report_.idle.cpu, calm.cpu);
  report_.idle.wake_ups = std::max(report_.idle.wake_ups, calm.wake_ups);
}

// The heap has the same blocks each time, apart from a server's reserve. Their bytes may be a few
// more: how many cancelled timers the timer queue has room for depends on when they were cancelled,
// and the allocator rounds. What is resident also depends on which pages the allocator has touched
// and has not given back, so it only must not be more than while many were held up.
void Run::check_memory(const std::string& when, std::optional<Heap>& expected,
                       std::size_t connections) {
  constexpr std::size_t kSlackKib = 1024;
  const Checkpoint now{when, connections, server_.heap(), server_.resident_kib()};
  report_.checkpoints.push_back(now);
  if (now.heap && !expected) expected = now.heap;
  if (now.heap) {
    const bool same =
        now.heap->blocks <= expected->blocks + reserve_.heap.blocks &&
        now.heap->blocks + reserve_.heap.blocks >= expected->blocks &&
        now.heap->bytes <= expected->bytes + expected->bytes / 16 + reserve_.heap.bytes;
    expect(same, when + ": " + std::to_string(now.heap->bytes) + " bytes in " +
                     std::to_string(now.heap->blocks) + " blocks, not " +
                     std::to_string(expected->bytes) + " in " + std::to_string(expected->blocks) +
                     " as before with " + std::to_string(connections) + " idle connections");
  }
  if (connections == 0) return;
  expect(now.resident_kib <= most_resident_ + kSlackKib, when + ": resident memory grows");
}

void Run::until(const std::string& what, const std::function<bool()>& done) {
  if (run(2 * options_.crowd.patience, done)) return;
  if (world_.tally.failed < options_.crowd.hopeless) expect(false, "waited in vain until " + what);
  throw GivenUp();
}

bool Run::run(Span time, const std::function<bool()>& done) {
  return crowd_.run(time, done, [this] { (void)server_.errors(); });
}

void Run::expect(bool kept, const std::string& broken) {
  if (!kept) world_.tally.fail(broken);
}

// The server sleeps, and wakes up no more often than so many times a second. On a machine that is
// busy with other work even one that spins gets little of the processor: but it is never found
// asleep, while one that does not spin soon is.
Calm Run::expect_calm(const std::string& when, Span time, double wake_ups) {
  constexpr int kSightings = 5;
  constexpr double kCpu = 0.5;  // poll() looks at ten thousand descriptors each time
  const auto cpu = server_.cpu_time();
  const std::uint64_t sleeps = server_.sleeps();
  const Time began = Clock::now();
  during(time);
  int asleep = 0;
  const bool found = run(options_.crowd.patience / 3,
                         [&] { return (asleep += server_.sleeping() ? 1 : 0) >= kSightings; });
  const double seconds = std::chrono::duration<double>(Clock::now() - began).count();
  const Calm calm{std::chrono::duration<double>(server_.cpu_time() - cpu).count() / seconds,
                  static_cast<double>(server_.sleeps() - sleeps) / seconds};
  expect(found && calm.cpu < kCpu, "the server spins although " + when);
  expect(calm.wake_ups < wake_ups, "the server keeps waking up although " + when);
  return calm;
}

void Run::say(const std::string& what) const {
  std::cerr << report_.server_name << ": " << what << "; " << world_.tally.connections
            << " connections, " << world_.tally.messages << " messages, " << world_.tally.received
            << " bytes\n";
}

}  // namespace load

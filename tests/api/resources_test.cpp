// What a base takes from the system, and what it does when the system takes it back.
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstddef>
#include <filesystem>
#include <memory>
#include <set>
#include <vector>

#include "support/every_backend.hpp"
#include "support/process.hpp"

namespace event_cpp::test {
namespace {

class ResourcesTest : public EveryBackend {};

BACKEND_TEST(ResourcesTest, ClosesEveryDescriptorOfItsOwnOnExec) {
  const std::set<int> before = open_descriptors();
  if (before.empty()) GTEST_SKIP() << "descriptors cannot be listed here";
  const Pipe pipe = readable_pipe();
  Base base(real_time());
  Event event(base, pipe.reader.get(), Events::read, [] {});
  Timer timer(base, [] {});
  event.attach();
  timer.attach(1ms);
  base.post([] {});
  run(base);

  for (const int fd : open_descriptors()) {
    if (before.contains(fd) || fd == pipe.reader.get() || fd == pipe.writer.get()) continue;
    EXPECT_TRUE((::fcntl(fd, F_GETFD) & FD_CLOEXEC) != 0) << link_of(fd);
  }
}

BACKEND_TEST(ResourcesTest, ClosesEveryDescriptorOfItsOwnAtTheEnd) {
  const std::set<int> before = open_descriptors();
  {
    Base base(real_time());
    Timer timer(base, [] {});
    timer.attach(1ms);
    base.post([] {});
    run(base);
  }
  EXPECT_EQ(open_descriptors(), before);
}

BACKEND_TEST(ResourcesTest, LeavesTheDescriptorsOfItsEventsOpen) {
  const Pipe pipe = readable_pipe();
  {
    Base base(options());
    Event event(base, pipe.reader.get(), Events::read, [] {});
    event.attach();
    base.once(pipe.reader.get(), Events::read, 0s, [] {});
  }
  EXPECT_GE(::fcntl(pipe.reader.get(), F_GETFD), 0);
}

// A table with a place for each number up to this one takes sixteen megabytes.
BACKEND_TEST(ResourcesTest, TakesLittleMemoryForADescriptorWithAHighNumber) {
  if (allocated_bytes() == 0) GTEST_SKIP() << "this allocator does not tell what it has given out";
  constexpr std::size_t kLittle = std::size_t{2} << 20;
  const auto number = static_cast<int>(std::min<std::size_t>(raise_descriptor_limit(), 1'000'001));
  const Pipe pipe = readable_pipe();
  const Fd high(::fcntl(pipe.reader.get(), F_DUPFD, number - 1));
  ASSERT_TRUE(high.open());
  Base base(options());
  Event event(base, high.get(), Events::read, recorder.note_fired());
  const std::size_t before = allocated_bytes();

  event.attach();
  run(base);

  EXPECT_EQ(recorder.fired, Fired{Events::read});
  EXPECT_LT(allocated_bytes(), before + kLittle);
}

BACKEND_TEST(ResourcesTest, ThrowsWhatTheKernelSaysOfAWaitThatFails) {
  const std::set<int> before = open_descriptors();
  Base base(options());
  const int set = new_descriptor(before, "eventpoll");
  if (set < 0 || base.backend() == Backend::poll)
    GTEST_SKIP() << "this backend has no descriptor for its set";
  const Pipe pipe = make_pipe();
  Event event(base, pipe.reader.get(), Events::read, Never());
  event.attach();

  ASSERT_EQ(::dup2(pipe.writer.get(), set), set);  // the set is gone behind the base's back

  EXPECT_EQ(thrown_by([&] { run(base); }), system_error(EBADF));
  EXPECT_FALSE(base.running());
}

BACKEND_TEST(ResourcesTest, StartsNoThread) {
  const std::filesystem::path tasks("/proc/self/task");
  if (!std::filesystem::exists(tasks)) GTEST_SKIP() << "threads cannot be listed here";
  const auto threads = [&] {
    std::set<std::filesystem::path> found;
    for (const auto& each : std::filesystem::directory_iterator(tasks)) found.insert(each.path());
    return found;
  };
  // One that an earlier test has joined may be listed a little longer.
  const auto before = threads();
  std::ptrdiff_t others = 0;
  Base base(real_time());
  const auto expect_no_more = [&] {
    const auto is_new = [&](const auto& thread) { return !before.contains(thread); };
    EXPECT_EQ(std::ranges::count_if(threads(), is_new), others);
  };
  const Pipe pipe = readable_pipe();
  Event event(base, pipe.reader.get(), Events::read, expect_no_more);
  Timer timer(base, expect_no_more);
  Signal signal(base, SIGUSR1, [&] {
    expect_no_more();
    signal.detach();
  });
  Alarm alarm(base, expect_no_more);
  event.attach();
  timer.attach(1ms);
  signal.attach();
  alarm.attach(std::chrono::system_clock::now());
  base.post(expect_no_more);
  expect_no_more();

  ASSERT_EQ(std::raise(SIGUSR1), 0);
  const Bounded bounded(base);
  ++others;  // the watcher of `bounded`
  EXPECT_EQ(base.dispatch(), 5U);
}

BACKEND_TEST(ResourcesTest, MakesAndDestroysManyBases) {
  for (int i = 0; i < 500; ++i) {
    Base base(options());
    Timer timer(base, recorder.note(i));
    timer.attach(1s);
    run(base);
  }
  EXPECT_EQ(recorder.order.size(), 500U);
}

BACKEND_TEST(ResourcesTest, GrowsToManyEventsAndShrinksAgain) {
  Base base(options());
  const Pipe pipe = readable_pipe();
  std::vector<std::unique_ptr<Event>> events;
  for (int i = 0; i < 5000; ++i) {
    events.push_back(std::make_unique<Event>(base, i % 2 == 0 ? pipe.reader.get() : -1,
                                             i % 2 == 0 ? Events::read : Events::timeout,
                                             [this] { recorder.order.push_back(1); }));
    events.back()->attach(std::chrono::seconds(i % 100));
  }
  EXPECT_EQ(base.size(), 5000U);

  run(base);

  EXPECT_EQ(recorder.order.size(), 5000U);
  EXPECT_EQ(base.size(), 0U);
}

}  // namespace
}  // namespace event_cpp::test

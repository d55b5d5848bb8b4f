// A fork while another thread posts.
#include <gtest/gtest.h>

#include <array>
#include <atomic>
#include <thread>
#include <vector>

#include "loop/post_queue.hpp"
#include "support/every_backend.hpp"
#include "support/forked.hpp"
#include "support/sanitizers.hpp"

namespace event_cpp::test {
namespace {

class ForkPostTest : public EveryBackend {};

// A function that stays in the middle of being posted: in the move to its place in the queue.
class StuckInPost {
 public:
  StuckInPost(std::atomic<int>& move_count, std::atomic<bool>& stays)
      : moves_(&move_count), stays_(&stays) {}
  StuckInPost(StuckInPost&& other) noexcept : moves_(other.moves_), stays_(other.stays_) {
    if (++*moves_ < 2) return;
    while (*stays_) std::this_thread::yield();
  }
  StuckInPost& operator=(StuckInPost&&) = delete;
  void operator()() const {}

 private:
  std::atomic<int>* moves_;
  std::atomic<bool>* stays_;
};

BACKEND_TEST(ForkPostTest, LeavesTheChildABaseThatCanBePostedTo) {
  Base base(real_time());
  int ran = 0;
  base.post([&] { ++ran; });
  std::atomic<int> moves{0};
  std::atomic<bool> stays{true};
  std::thread other([&] { base.post(StuckInPost(moves, stays)); });
  while (moves < 2) std::this_thread::yield();

  EXPECT_TRUE(succeeds_in_child([&] {
    base.after_fork();
    base.post([&] { ++ran; });
    const auto post_stop = [&] { base.post([&] { base.stop(); }); };
    std::thread poster;
    if (EVENT_HAS_TSAN) {  // it starts no thread in a child of a process that had several
      post_stop();
    } else {
      poster = std::thread(post_stop);
    }
    base.loop(RunMode::keep_alive);
    if (poster.joinable()) poster.join();
    EXPECT_EQ(ran, 2);
  }));
  EXPECT_TRUE(succeeds_in_child([&] {
    Base* const copy = &base;
    copy->~Base();  // without after_fork()
    ::_exit(testing::Test::HasFailure() ? 1 : 0);
  }));

  stays = false;
  other.join();
  run(base, RunMode::nonblock);
  EXPECT_EQ(ran, 1);
}

BACKEND_TEST(ForkPostTest, LeavesTheChildWhatWasPostedWithoutItsWakeUp) {
  detail::PostQueue queue;
  std::atomic<bool> pushed{false};
  std::atomic<bool> stays{true};
  std::thread other([&] {
    queue.push(detail::Task([] {}), Priority::low, [&](std::size_t) {
      pushed = true;
      while (stays) std::this_thread::yield();
    });
  });
  while (!pushed) std::this_thread::yield();

  EXPECT_TRUE(succeeds_in_child([&] {
    std::vector<std::size_t> woken_for;
    queue.after_fork([&](std::size_t level) { woken_for.push_back(level); });
    EXPECT_EQ(woken_for, std::vector<std::size_t>{2});
  }));

  stays = false;
  other.join();
}

BACKEND_TEST(ForkPostTest, WorksWheneverItComes) {
  if (EVENT_HAS_ASAN_OR_TSAN) {
    GTEST_SKIP() << "the sanitizer's allocator may be locked in the child for good";
  }
  constexpr int kForks = 5;
  Base base(real_time());
  constexpr int kMost = 1000;  // that wait: a machine under load takes them slowly
  std::atomic<bool> done{false};
  std::atomic<int> waiting{0};
  std::vector<std::thread> posters;
  for (int i = 0; i < 2; ++i) {
    posters.emplace_back([&] {
      while (!done) {
        if (waiting >= kMost) continue;
        ++waiting;
        base.post([&] { --waiting; });
      }
    });
  }
  for (int i = 0; i < kForks; ++i) {
    run(base, RunMode::nonblock);
    EXPECT_TRUE(succeeds_in_child([&] {
      base.after_fork();
      bool ran = false;
      base.post([&] {
        ran = true;
        base.stop();
      });
      base.loop(RunMode::keep_alive);
      EXPECT_TRUE(ran);
    }));
  }
  done = true;
  for (std::thread& poster : posters) poster.join();
}

}  // namespace
}  // namespace event_cpp::test

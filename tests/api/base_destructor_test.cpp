// Destroying a base, while what users gave it uses the base from its destructors.
#include <gtest/gtest.h>

#include <cerrno>
#include <functional>
#include <memory>
#include <system_error>
#include <utility>

#include "support/every_backend.hpp"

namespace event_cpp::test {
namespace {

class BaseDestructorTest : public EveryBackend {};

// Calls a function when it is destroyed; what it was moved from calls nothing.
class OnDestruction {
 public:
  explicit OnDestruction(std::function<void()> function) : function_(std::move(function)) {}
  OnDestruction(OnDestruction&& other) noexcept
      : function_(std::exchange(other.function_, nullptr)) {}
  OnDestruction& operator=(OnDestruction&&) = delete;
  ~OnDestruction() {
    if (function_) function_();
  }

  template <class... Any>
  void operator()(Any&&...) const {}

 private:
  std::function<void()> function_;
};

// Posts others like it when it is destroyed.
struct Posting {
  Posting(Base& to, int how_deep, int& destroyed_ones)
      : base(&to), depth(how_deep), destroyed(&destroyed_ones) {}
  Posting(Posting&& other) noexcept
      : base(std::exchange(other.base, nullptr)), depth(other.depth), destroyed(other.destroyed) {}
  Posting& operator=(Posting&&) = delete;
  ~Posting() {
    if (base == nullptr) return;
    ++*destroyed;
    if (depth > 0) base->post(Posting(*base, depth - 1, *destroyed), Priority::low);
  }
  void operator()() const {}

  Base* base;
  int depth;
  int* destroyed;
};

BACKEND_TEST(BaseDestructorTest, DestroysWhatDestructorsPostHoweverDeep) {
  constexpr int kDepth = 100'000;
  int destroyed = 0;
  {
    Base base(options());
    for (int i = 0; i < 8; ++i) base.post(Posting(base, 8, destroyed));
    base.post(Posting(base, kDepth, destroyed));
  }
  EXPECT_EQ(destroyed, 8 * 9 + kDepth + 1);
}

BACKEND_TEST(BaseDestructorTest, DestroysWhatWasTakenButNotRunAndWhatThatPosts) {
  int destroyed = 0;
  {
    Base base(options());
    base.post([&base] { base.stop_now(); });
    for (int i = 0; i < 8; ++i) base.post(Posting(base, 8, destroyed));
    base.dispatch();
    ASSERT_EQ(destroyed, 0);
  }
  EXPECT_EQ(destroyed, 8 * 9);
}

BACKEND_TEST(BaseDestructorTest, RefusesToAttachAnEventFromADestructor) {
  const Pipe pipe = readable_pipe();
  std::error_code timer_error;
  std::error_code watch_error;
  std::error_code signal_error;
  std::error_code at_error;
  {
    auto owner = std::make_unique<Base>(options());
    Base* const base = owner.get();
    Timer timer(*base, Never());
    Event watch(*base, pipe.reader.get(), Events::read, Never());
    Signal signal(*base, SIGUSR1, Never());
    base->post(OnDestruction([&] {
      timer_error = timer.try_attach(1s);
      watch_error = watch.try_attach();
      signal_error = signal.try_attach();
      at_error = timer.try_attach_at(TimePoint::max());
      watch.activate(Events::read);
      EXPECT_FALSE(timer.attached() || watch.attached() || signal.attached());
      EXPECT_EQ(base->size(), 0U);
    }));
    owner.reset();
  }
  for (const std::error_code& error : {timer_error, watch_error, signal_error, at_error}) {
    EXPECT_EQ(error, std::errc::operation_canceled) << error.message();
  }
}

BACKEND_TEST(BaseDestructorTest, RefusesToRunFromADestructor) {
  std::error_code error;
  {
    auto owner = std::make_unique<Base>(options());
    Base* const base = owner.get();
    base->post(OnDestruction([&] {
      try {
        base->dispatch();
      } catch (const std::system_error& refused) {
        error = refused.code();
      }
    }));
    owner.reset();
  }
  EXPECT_EQ(error, Errc::reentered);
}

BACKEND_TEST(BaseDestructorTest, DropsWhatDestructorsHandToAfterAndOnce) {
  const Pipe pipe = readable_pipe();
  int destroyed = 0;
  {
    Base base(options());
    const auto give = [&](auto&& self, int depth) -> void {
      const auto again = [&, self, depth] {
        ++destroyed;
        if (depth > 0) self(self, depth - 1);
      };
      base.after(1s, OnDestruction(again));
      base.once(pipe.reader.get(), Events::read, 1s, OnDestruction(again));
      base.post(OnDestruction(again));
    };
    give(give, 3);
  }
  EXPECT_EQ(destroyed, 3 + 9 + 27 + 81);
}

BACKEND_TEST(BaseDestructorTest, LetsDestructorsCallTheRestOfTheBase) {
  bool called = false;
  {
    auto owner = std::make_unique<Base>(options());
    Base* const base = owner.get();
    base->post(OnDestruction([&] {
      base->stop();
      base->stop_now();
      base->stop_after(1s);
      base->fd();
      base->now();
      base->stats();
      base->next_timeout();
      base->reserve(10, 10);
      const Hook hook(*base, Hook::When::idle, [] {});
      base->on_slow(1s, [](const CallbackTime&) {});
      called = true;
    }));
    owner.reset();
  }
  EXPECT_TRUE(called);
}

BACKEND_TEST(BaseDestructorTest, DestroysAReportOfSlowCallbacksThatPosts) {
  int destroyed = 0;
  {
    Base base(options());
    base.on_slow(1s, OnDestruction([&] {
                   ++destroyed;
                   base.post(Posting(base, 3, destroyed));
                 }));
  }
  EXPECT_EQ(destroyed, 1 + 4);
}

BACKEND_TEST(BaseDestructorTest, DestroysEventsThatPostedFunctionsOwn) {
  const Pipe pipe = readable_pipe();
  int destroyed = 0;
  {
    auto owner = std::make_unique<Base>(options());
    Base* const base = owner.get();
    auto event = std::make_unique<Event>(*base, pipe.reader.get(), kReadPersist,
                                         Posting(*base, 2, destroyed));
    event->attach(1s);
    event->activate(Events::read);
    base->post([event = std::move(event)] {});
    owner.reset();
  }
  EXPECT_EQ(destroyed, 3);
}

// A copy where others are moved, so that it posts from the destructor of what it was copied from.
struct PostingWhenMoved {
  PostingWhenMoved(Base& to, int& posted_ones) : base(to), posted(posted_ones) {}
  PostingWhenMoved(const PostingWhenMoved&) noexcept = default;
  PostingWhenMoved& operator=(const PostingWhenMoved&) = delete;
  ~PostingWhenMoved() {
    if (posted < 1000) base.post([&counter = posted] { ++counter; });
  }
  void operator()() const {}

  Base& base;
  int& posted;
};

BACKEND_TEST(BaseDestructorTest, LetsAPostedFunctionPostWhileItIsMoved) {
  int posted = 0;
  Base base(options());
  for (int i = 0; i < 30; ++i) base.post(PostingWhenMoved(base, posted));

  run(base);

  EXPECT_GE(posted, 30 * 2) << "the temporary, and what was moved into the queue";
}

}  // namespace
}  // namespace event_cpp::test

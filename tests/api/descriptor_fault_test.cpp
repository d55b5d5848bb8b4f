// Descriptors that a program uses in a way that cannot work: told clearly, the same on every
// backend.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/resource.h>

#include <cstring>
#include <deque>
#include <exception>
#include <string>
#include <system_error>
#include <utility>

#include "support/every_backend.hpp"
#include "support/forked.hpp"

namespace event_cpp::test {
namespace {

class DescriptorFaultTest : public EveryBackend {};

#ifdef O_PATH

BACKEND_TEST(DescriptorFaultTest, ADescriptorThatOnlyNamesAFileIsRefused) {
  Base base(options());
  const Fd only_a_name(::open("/", O_PATH | O_CLOEXEC));
  ASSERT_TRUE(only_a_name.open());
  for (const Events events : {Events::read, Events::write, Events::closed, Events::error}) {
    Event event(base, only_a_name.get(), events, Never());

    EXPECT_EQ(event.try_attach(), std::errc::bad_file_descriptor);

    EXPECT_FALSE(event.attached());
  }
}

#endif

// poll(2) takes no more descriptors than a process may open now, though they are open.
BACKEND_TEST(DescriptorFaultTest, ALimitBelowWhatIsWatchedIsNoHarmOrAClearError) {
  EXPECT_TRUE(succeeds_in_child([this] {
    Base base(options());
    std::deque<Pipe> pipes;
    std::deque<Event> events;
    for (int i = 0; i < 20; ++i) {
      pipes.push_back(readable_pipe());
      events.emplace_back(base, pipes.back().reader.get(), kReadPersist, recorder.note_fired());
      events.back().attach();
    }
    rlimit limit{};
    ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &limit), 0);
    const rlim_t before = std::exchange(limit.rlim_cur, 10);
    ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &limit), 0);
    std::exception_ptr thrown;
    try {
      base.loop(RunMode::nonblock);
    } catch (...) {
      thrown = std::current_exception();
    }
    // Before anything is checked: sanitizers open descriptors for that.
    limit.rlim_cur = before;
    ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &limit), 0);
    EXPECT_EQ(thrown != nullptr, GetParam() == Backend::poll);
    try {
      if (thrown) std::rethrow_exception(thrown);
    } catch (const std::system_error& error) {
      EXPECT_EQ(error.code(), std::errc::too_many_files_open);
      EXPECT_NE(std::strstr(error.what(), "RLIMIT_NOFILE"), nullptr) << error.what();
    }

    base.loop(RunMode::nonblock);

    EXPECT_GE(recorder.fired.size(), events.size()) << "nothing is lost";
  }));
}

// libpq and others replace their socket under the same number. A release build cannot tell without
// a system call for each attach().
BACKEND_TEST(DescriptorFaultTest, DebugBuildsNoticeAnotherFileUnderTheSameNumber) {
#ifdef NDEBUG
  GTEST_SKIP() << "only debug builds ask the kernel";
#else
  const auto attach_again_on_another_file = [this] {
    Base base(options());
    Pipe pipe = readable_pipe();
    Event event(base, pipe.reader.get(), Events::read, [] {});
    event.attach();
    base.loop(RunMode::nonblock);
    const Fd next = move_to(pipe.reader.get(), std::move(readable_pipe().reader));
    event.attach();
  };
  EXPECT_DEATH(attach_again_on_another_file(), "call assign\\(\\)");
#endif
}

BACKEND_TEST(DescriptorFaultTest, AssignSaysThatTheNumberStandsForAnotherFile) {
  Base base(options());
  Pipe pipe = readable_pipe();
  Event event(base, pipe.reader.get(), Events::read, recorder.note_fired());
  event.attach();
  base.loop(RunMode::nonblock);
  Pipe other = readable_pipe();
  const int number = pipe.reader.get();
  pipe.reader.close();
  const Fd next = move_to(number, std::move(other.reader));

  event.assign(next.get(), Events::read);
  event.attach();
  base.loop(RunMode::nonblock);

  EXPECT_EQ(recorder.fired, (Fired{Events::read, Events::read}));
}

}  // namespace
}  // namespace event_cpp::test

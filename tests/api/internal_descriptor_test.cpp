// The base's own descriptors, and programs that close or replace what is not theirs.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <csignal>
#include <memory>
#include <set>
#include <system_error>
#include <thread>
#include <vector>

#include "support/every_backend.hpp"
#include "support/forked.hpp"
#include "support/process.hpp"

namespace event_cpp::test {
namespace {

class InternalDescriptorTest : public EveryBackend {};

// As daemon(3) does.
void reopen_standard_streams() {
  const int null = ::open("/dev/null", O_RDWR);
  for (const int stream : {0, 1, 2}) ::dup2(null, stream);
  if (null > 2) ::close(null);
}

void close_standard_streams() {
  for (const int stream : {0, 1, 2}) ::close(stream);
}

// Everything that opens a descriptor of the base's own.
void use_all_of_it(Base& base) {
  base.fd();
  sigset_t usr2;
  sigemptyset(&usr2);
  sigaddset(&usr2, SIGUSR2);
  ::pthread_sigmask(SIG_BLOCK, &usr2, nullptr);
  Signal signal(base, SIGUSR2, Never());
  signal.attach();
  Alarm alarm(base, [] {});
  alarm.attach(std::chrono::system_clock::now() + std::chrono::hours(1));
}

BACKEND_TEST(InternalDescriptorTest, IsNeverOneOfTheStandardStreams) {
  EXPECT_TRUE(succeeds_in_child([&] {
    close_standard_streams();
    Base base(real_time());
    use_all_of_it(base);
    const pid_t child = ::fork();
    if (child == 0) ::pause();
    Child watched(base, child, [](int) {});
    watched.attach();
    for (const int stream : {0, 1, 2}) {
      EXPECT_EQ(::fcntl(stream, F_GETFD), -1) << "descriptor " << stream << " is open";
    }
    ::kill(child, SIGKILL);
    base.dispatch();
  }));
}

BACKEND_TEST(InternalDescriptorTest, IsNoStandardStreamInTheChildOfAForkEither) {
  EXPECT_TRUE(succeeds_in_child([&] {
    close_standard_streams();
    Base base(real_time());
    base.fd();
    EXPECT_TRUE(succeeds_in_child([&] {
      base.after_fork();
      for (const int stream : {0, 1, 2}) {
        EXPECT_EQ(::fcntl(stream, F_GETFD), -1) << "descriptor " << stream << " is open";
      }
    }));
  }));
}

BACKEND_TEST(InternalDescriptorTest, SurvivesADaemonThatOpensItsStreamsAnew) {
  EXPECT_TRUE(succeeds_in_child([&] {
    close_standard_streams();
    Base base(real_time());
    reopen_standard_streams();
    int fired = 0;
    Timer timer(base, [&] { ++fired; });
    timer.attach(1ms);
    base.dispatch();
    EXPECT_EQ(fired, 1);

    std::thread other([&] { base.post([&] { base.stop(); }); });
    Timer far(base, Never());
    far.attach(1h);
    base.dispatch();
    other.join();
  }));
}

// The descriptors of the base, which was made since. On kqueue it is one, and a model may have
// more.
std::vector<int> internal_descriptors(Base& base, const std::set<int>& before) {
  if (base.backend() == Backend::kqueue) return {base.fd()};
  std::vector<int> found;
  for (const int fd : open_descriptors()) {
    if (before.count(fd) == 0 && ::fcntl(fd, F_GETFD) != -1) found.push_back(fd);
  }
  return found;
}

// Closes every descriptor that the base opened, and puts files of a user's onto the numbers, as
// after closefrom(3).
class TakenOver {
 public:
  explicit TakenOver(const std::vector<int>& numbers) : numbers_(numbers) {
    for (const int fd : numbers_) {
      Pipe pipe = make_pipe();
      ::dup2(pipe.writer.get(), fd);  // what is written here can be read
      readers_.push_back(std::move(pipe.reader));
    }
  }

  void expect_untouched() const {
    for (std::size_t i = 0; i < numbers_.size(); ++i) {
      char bytes[16];
      EXPECT_EQ(::read(readers_[i].get(), bytes, sizeof bytes), -1) << "written to, or closed";
      EXPECT_EQ(errno, EAGAIN);
      EXPECT_NE(::fcntl(numbers_[i], F_GETFD), -1) << "closed";
    }
  }

 private:
  std::vector<int> numbers_;
  std::vector<Fd> readers_;
};

int error_of_dispatch(Base& base) {
  try {
    base.loop(RunMode::keep_alive);
  } catch (const std::system_error& error) {
    return error.code().value();
  }
  return 0;
}

BACKEND_TEST(InternalDescriptorTest, IsAnErrorOfTheNextWaitIfItWasTakenAway) {
  EXPECT_TRUE(succeeds_in_child([&] {
    const std::set<int> before = open_descriptors();
    auto base = std::make_unique<Base>(real_time());
    const TakenOver files(internal_descriptors(*base, before));
    EXPECT_EQ(error_of_dispatch(*base), EBADF);

    // Not before: a wake-up that comes while the loop finds it out is written to whatever is there.
    std::atomic<bool> done{false};
    std::thread other([&] {
      while (!done) {
        base->post([] {});
        std::this_thread::yield();
      }
    });
    EXPECT_EQ(error_of_dispatch(*base), EBADF) << "and of each after it";

    done = true;
    other.join();
    base->stop();
    base.reset();
    files.expect_untouched();
  }));
}

BACKEND_TEST(InternalDescriptorTest, IsAnErrorOfTheNextWaitIfItWasClosed) {
  EXPECT_TRUE(succeeds_in_child([&] {
    const std::set<int> before = open_descriptors();
    Base base(real_time());
    for (const int fd : internal_descriptors(base, before)) ::close(fd);
    EXPECT_EQ(error_of_dispatch(base), EBADF);
    EXPECT_EQ(error_of_dispatch(base), EBADF);
  }));
}

}  // namespace
}  // namespace event_cpp::test

// Listeners: accepting by tasks and callbacks, what goes wrong there, and paths of Unix sockets.
#include <fcntl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <functional>
#include <limits>
#include <memory>
#include <stdexcept>

#include "net/networks.hpp"
#include "support/failing_call.hpp"
#include "support/forked.hpp"

namespace event_cpp::test {
namespace {

using co::Task;

// A file name that is free, and removed at the end.
class FreePath {
 public:
  FreePath() {
    std::string pattern = "/tmp/event_net_XXXXXX";
    const int fd = ::mkstemp(pattern.data());
    ::close(fd);
    ::unlink(pattern.c_str());
    name_ = pattern;
  }
  ~FreePath() { ::unlink(name_.c_str()); }
  FreePath(const FreePath&) = delete;
  FreePath& operator=(const FreePath&) = delete;

  const std::string& name() const { return name_; }
  bool exists() const { return ::access(name_.c_str(), F_OK) == 0; }

 private:
  std::string name_;
};

class ListenerTest : public EveryNetwork {
 protected:
  // A client that connects without waiting: the system's kernel completes it by itself.
  net::Socket client(const net::Address& to) {
    net::Socket socket = net::Socket::make(base, to.family(), SOCK_STREAM);
    static_cast<void>(socket.connect(to));
    return socket;
  }
  std::vector<net::Socket> clients(const net::Address& to, int count) {
    std::vector<net::Socket> all;
    for (int i = 0; i < count; ++i) all.push_back(client(to));
    return all;
  }
};
ON_EVERY_NETWORK(ListenerTest);

Task<> accept_some(net::Listener& listener, std::vector<net::Socket>& accepted, int count) {
  for (int i = 0; i < count; ++i) {
    net::Socket socket = co_await listener.accept();
    accepted.push_back(std::move(socket));
  }
}

TEST_P(ListenerTest, AcceptsByATask) {
  net::Listener listener(base, net::Address::loopback(0));
  EXPECT_GT(listener.address().port(), 0);
  const auto waiting = clients(listener.address(), 3);
  std::vector<net::Socket> accepted;
  run(accept_some(listener, accepted, 3));
  EXPECT_EQ(accepted[0].peer(), waiting[0].address());
}

TEST_P(ListenerTest, AcceptsOntoNoneOfTheStandardStreams) {
  if (is_toy()) GTEST_SKIP() << "the toy kernel has numbers of its own";
  EXPECT_TRUE(succeeds_in_child([&] {
    base.after_fork();
    net::Listener listener(base, net::Address::loopback(0));
    const auto waiting = clients(listener.address(), 3);
    for (const int stream : {0, 1, 2}) ::close(stream);
    std::vector<net::Socket> accepted;
    co::TaskGroup tasks(base);
    tasks.spawn(accept_some(listener, accepted, 3));
    for (int i = 0; i < 10; ++i) settle();
    EXPECT_EQ(accepted.size(), 3U);
    for (const net::Socket& socket : accepted) {
      EXPECT_GT(socket.fd(), 2);
      EXPECT_NE(::fcntl(socket.fd(), F_GETFL) & O_NONBLOCK, 0);
      EXPECT_NE(::fcntl(socket.fd(), F_GETFD) & FD_CLOEXEC, 0);
    }
  }));
}

TEST_P(ListenerTest, AcceptsForEachTaskThatWaitsInOrder) {
  net::Listener listener(base, net::Address::loopback(0));
  std::string order;
  const auto accept = [&](char name) -> Task<> {
    net::Socket socket = co_await listener.accept();
    order += name;
  };
  co::TaskGroup tasks(base);
  for (const char name : {'a', 'b', 'c'}) tasks.spawn([&accept, name] { return accept(name); });
  settle();
  const auto waiting = clients(listener.address(), 3);
  run_until([&] { return order.size() == 3; });
  EXPECT_EQ(order, "abc");
}

TEST_P(ListenerTest, CallsBackForWhatCameBeforeAndAfterTheCallback) {
  net::Listener listener(base, net::Address::loopback(0));
  const auto before = clients(listener.address(), 20);
  settle();
  int accepted = 0;
  listener.on_accept([&](net::Socket) { ++accepted; });
  run_until([&] { return accepted == 20; });
  const auto after = clients(listener.address(), 20);
  run_until([&] { return accepted == 40; });
}

TEST_P(ListenerTest, GivesACallbackABatchInAnIterationAtMost) {
  net::Listener listener(base, net::Address::loopback(0));
  const auto waiting = clients(listener.address(), 50);
  int accepted = 0;
  listener.on_accept([&](net::Socket) { ++accepted; });
  int most = 0;
  const Bounded bounded(base);
  while (accepted < 50) {
    const int before = accepted;
    base.loop(RunMode::nonblock);
    most = std::max(most, accepted - before);
  }
  EXPECT_EQ(most, 16);
}

TEST_P(ListenerTest, TakesABatchOfLessThanOneForOne) {
  for (const int batch : {0, -1, std::numeric_limits<int>::min()}) {
    net::ListenOptions options;
    options.batch = batch;
    net::Listener listener(base, net::Address::loopback(0), options);
    const auto waiting = clients(listener.address(), 3);
    int accepted = 0;
    listener.on_accept([&](net::Socket) { ++accepted; });
    run_until([&] { return accepted == 3; });
  }
}

TEST_P(ListenerTest, LosesNoConnectionIfAnAcceptIsCancelled) {
  net::Listener listener(base, net::Address::loopback(0));
  std::vector<net::Socket> lost;
  co::TaskGroup tasks(base);
  tasks.spawn([&] { return accept_some(listener, lost, 1); });
  settle();
  const auto waiting = clients(listener.address(), 1);
  tasks.cancel();
  settle();
  std::vector<net::Socket> accepted;
  accepted.swap(lost);
  if (accepted.empty()) run(accept_some(listener, accepted, 1));
  EXPECT_EQ(accepted[0].peer(), waiting[0].address());
}

TEST_P(ListenerTest, EndsWaitsWhenItIsClosed) {
  net::Listener listener(base, net::Address::loopback(0));
  std::vector<net::Socket> none;
  std::vector<std::error_code> codes;
  const auto accept = [&]() -> Task<> {
    const std::error_code code = co_await error_of(accept_some(listener, none, 1));
    codes.push_back(code);
  };
  co::TaskGroup tasks(base);
  for (int i = 0; i < 3; ++i) tasks.spawn([&accept] { return accept(); });
  settle();
  listener.close();
  settle();
  ASSERT_EQ(codes.size(), 3U);
  for (const std::error_code code : codes) EXPECT_EQ(code, std::errc::operation_canceled);
  EXPECT_EQ(run(error_of(accept_some(listener, none, 1))), std::errc::operation_canceled);
}

TEST_P(ListenerTest, SaysWhenItIsClosed) {
  auto listener = std::make_unique<net::Listener>(base, net::Address::loopback(0));
  co::TaskGroup tasks(base);
  tasks.spawn(listener->closed());
  settle();
  EXPECT_EQ(tasks.size(), 1U);
  listener->close();
  settle();
  EXPECT_EQ(tasks.size(), 0U);
  run(listener->closed());
  listener = std::make_unique<net::Listener>(base, net::Address::loopback(0));
  tasks.spawn(listener->closed());
  listener.reset();
  settle();
  EXPECT_EQ(tasks.size(), 0U);
}

TEST_P(ListenerTest, LetsOthersHaveTheirTurnIfItIsClosed) {
  net::Listener listener(base, net::Address::loopback(0));
  listener.close();
  std::vector<net::Socket> none;
  bool stopped = false;
  int failures = 0;
  const auto accept = [&]() -> Task<> {
    while (!stopped && failures < 1000) {
      const std::error_code code = co_await error_of(accept_some(listener, none, 1));
      EXPECT_EQ(code, std::errc::operation_canceled);
      ++failures;
    }
  };
  co::TaskGroup tasks(base);
  tasks.spawn([&] { return accept(); });
  stopped = true;
  settle();
  EXPECT_EQ(tasks.size(), 0U);
  EXPECT_LT(failures, 100);
}

TEST_P(ListenerTest, GoesOnAfterACallbackThatThrows) {
  net::Listener listener(base, net::Address::loopback(0));
  const auto waiting = clients(listener.address(), 3);
  int accepted = 0;
  listener.on_accept([&](net::Socket) {
    if (++accepted == 1) throw std::runtime_error("from a callback");
  });
  const auto run_all = [&] { run_until([&] { return accepted == 3; }); };
  EXPECT_THROW(run_all(), std::runtime_error);
  run_all();
}

TEST_P(ListenerTest, MayBeDestroyedByItsCallback) {
  auto listener = std::make_unique<net::Listener>(base, net::Address::loopback(0));
  const auto waiting = clients(listener->address(), 3);
  int accepted = 0;
  listener->on_accept([&](net::Socket) {
    ++accepted;
    listener.reset();
  });
  run_until([&] { return accepted == 1; });
  settle();
  EXPECT_EQ(accepted, 1);
}

TEST_P(ListenerTest, IsDestroyedWithACallbackThatOwnsItWhenThatIsRemoved) {
  for (const bool accepts : {true, false}) {
    auto owner = std::make_shared<net::Listener>(base, net::Address::loopback(0));
    const std::weak_ptr<net::Listener> still = owner;
    net::Listener& listener = *owner;
    if (accepts) {
      listener.on_accept([kept = std::move(owner)](net::Socket) {});
      listener.on_accept({});
    } else {
      listener.on_error([kept = std::move(owner)](std::error_code) {});
      listener.on_error({});
    }
    EXPECT_TRUE(still.expired());
    settle();
  }
}

TEST_P(ListenerTest, CallsNoMoreOnceTheCallbackIsEmpty) {
  net::Listener listener(base, net::Address::loopback(0));
  const auto waiting = clients(listener.address(), 3);
  int accepted = 0;
  listener.on_accept([&](net::Socket) {
    ++accepted;
    listener.on_accept({});
  });
  run_until([&] { return accepted == 1; });
  settle();
  EXPECT_EQ(accepted, 1);
  std::vector<net::Socket> rest;
  run(accept_some(listener, rest, 2));
}

TEST_P(ListenerTest, HandsItsQueueToTheNextListener) {
  net::Listener first(base, net::Address::loopback(0));
  const net::Address address = first.address();
  const auto waiting = clients(address, 3);
  net::Listener second(base, first.release());
  EXPECT_EQ(second.address(), address);
  std::vector<net::Socket> accepted;
  run(accept_some(second, accepted, 3));
}

// Shortages.

TEST_P(ListenerTest, LooksAwayForAWhileWithoutADescriptorAndDoesNotSpin) {
  net::Listener listener(base, net::Address::loopback(0));
  std::vector<std::error_code> errors;
  listener.on_error([&](std::error_code error) { errors.push_back(error); });
  const auto waiting = clients(listener.address(), 1);
  std::vector<net::Socket> accepted;
  co::TaskGroup tasks(base);
  settle();
  {
    const NoDescriptors none;
    kernel.accept_error = EMFILE;
    kernel.accept_errors = 1000;
    tasks.spawn([&] { return accept_some(listener, accepted, 1); });
    for (int i = 0; i < 10; ++i) settle();
    EXPECT_EQ(errors.size(), 1U);
    for (int i = 0; i < 3; ++i) {
      time.advance(101ms);
      settle();
    }
    EXPECT_EQ(errors.size(), 4U);
    kernel.accept_errors = 0;
  }
  for (const std::error_code error : errors) {
    EXPECT_EQ(error, std::errc::too_many_files_open);
  }
  time.advance(101ms);
  run_until([&] { return accepted.size() == 1; });
}

TEST_P(ListenerTest, LooksAwayForItsCallbackAsWell) {
  net::Listener listener(base, net::Address::loopback(0));
  int errors = 0;
  int accepted = 0;
  const auto waiting = clients(listener.address(), 5);
  listener.on_error([&](std::error_code) { ++errors; });
  settle();
  {
    const NoDescriptors none;
    kernel.accept_error = EMFILE;
    kernel.accept_errors = 1000;
    listener.on_accept([&](net::Socket) { ++accepted; });
    for (int i = 0; i < 10; ++i) settle();
    EXPECT_EQ(errors, 1);
    kernel.accept_errors = 0;
  }
  time.advance(101ms);
  run_until([&] { return accepted == 5; });
}

TEST_P(ListenerTest, TellsThatTheKernelDoesNotWatchIt) {
  if (is_toy()) GTEST_SKIP() << "the toy kernel watches whatever it is asked to";
  if (GetParam() == Backend::kqueue) GTEST_SKIP() << "no wait works where no registration does";
  net::Listener listener(base, net::Address::loopback(0));
  std::vector<std::error_code> errors;
  listener.on_error([&](std::error_code error) { errors.push_back(error); });
  int accepted = 0;
  {
    const FailingCall refused(attaching_on(GetParam()), ENOMEM, 1, kAlways);
    listener.on_accept([&](net::Socket) { ++accepted; });
    settle();
    EXPECT_TRUE(errors.empty()) << "told while the callback was set";
    for (int i = 0; i < 3; ++i) {
      time.advance(101ms);
      settle();
    }
  }
  EXPECT_EQ(errors,
            std::vector<std::error_code>(3, std::error_code(ENOMEM, std::system_category())));
  const auto waiting = clients(listener.address(), 1);
  time.advance(101ms);
  run_until([&] { return accepted == 1; });
}

TEST_P(ListenerTest, GoesOnIfItsCallbackThrowsWhenTheKernelDoesNotWatchIt) {
  if (is_toy()) GTEST_SKIP() << "the toy kernel watches whatever it is asked to";
  net::Listener listener(base, net::Address::loopback(0));
  listener.on_error([](std::error_code) { throw std::runtime_error("from a callback"); });
  int accepted = 0;
  {
    const FailingCall refused(attaching_on(GetParam()), ENOMEM);
    listener.on_accept([&](net::Socket) { ++accepted; });
  }
  time.advance(101ms);
  EXPECT_THROW(settle(), std::runtime_error);
  const auto waiting = clients(listener.address(), 1);
  run_until([&] { return accepted == 1; });
}

TEST_P(ListenerTest, MayBeClosedWhenTheKernelDoesNotWatchIt) {
  if (is_toy()) GTEST_SKIP() << "the toy kernel watches whatever it is asked to";
  net::Listener listener(base, net::Address::loopback(0));
  int errors = 0;
  listener.on_error([&](std::error_code) { ++errors; });
  const auto waiting = clients(listener.address(), 1);
  int accepted = 0;
  {
    const FailingCall refused(attaching_on(GetParam()), ENOMEM);
    listener.on_accept([&](net::Socket) {
      ++accepted;
      listener.close();
    });
  }
  time.advance(101ms);
  settle();
  EXPECT_EQ(accepted, 1);
  EXPECT_EQ(errors, 0) << "told of a listener that is closed";
}

TEST_P(ListenerTest, MayBeDestroyedByItsErrorCallback) {
  auto listener = std::make_unique<net::Listener>(base, net::Address::loopback(0));
  const auto waiting = clients(listener->address(), 1);
  int errors = 0;
  listener->on_error([&](std::error_code) {
    ++errors;
    listener.reset();
  });
  settle();
  const NoDescriptors none;
  kernel.accept_error = EMFILE;
  kernel.accept_errors = 1000;
  listener->on_accept([](net::Socket) {});
  settle();
  EXPECT_EQ(errors, 1);
}

TEST_P(ListenerTest, LetsWhatItsErrorCallbackThrowsLeaveDispatch) {
  net::Listener listener(base, net::Address::loopback(0));
  const auto waiting = clients(listener.address(), 1);
  listener.on_error([](std::error_code) { throw std::runtime_error("from a callback"); });
  settle();
  std::vector<net::Socket> accepted;
  co::TaskGroup tasks(base);
  {
    const NoDescriptors none;
    kernel.accept_error = EMFILE;
    kernel.accept_errors = 2;  // of the task, and of the loop
    tasks.spawn([&] { return accept_some(listener, accepted, 1); });
    EXPECT_THROW(settle(), std::runtime_error);
  }
  time.advance(101ms);
  run_until([&] { return accepted.size() == 1; });
}

TEST_P(ListenerTest, SkipsConnectionsThatEndedInTheQueue) {
  if (!is_toy()) GTEST_SKIP() << "the system's kernel is not told to fail";
  net::Listener listener(base, net::Address::loopback(0));
  for (const int error : {ECONNABORTED, EPROTO, EINTR, EPERM}) {
    const auto waiting = clients(listener.address(), 1);
    kernel.accept_error = error;
    kernel.accept_errors = 3;
    std::vector<net::Socket> accepted;
    run(accept_some(listener, accepted, 1));
    EXPECT_EQ(accepted.size(), 1U);
  }
}

TEST_P(ListenerTest, LooksAwayWhileEveryConnectionFails) {
  if (!is_toy()) GTEST_SKIP() << "the system's kernel is not told to fail";
  net::Listener listener(base, net::Address::loopback(0));
  std::vector<std::error_code> errors;
  listener.on_error([&](std::error_code error) { errors.push_back(error); });
  const auto waiting = clients(listener.address(), 1);
  std::vector<net::Socket> accepted;
  kernel.accept_error = EPERM;
  kernel.accept_errors = 1000;
  co::TaskGroup tasks(base);
  tasks.spawn([&] { return accept_some(listener, accepted, 1); });
  for (int i = 0; i < 10; ++i) settle();
  EXPECT_EQ(errors.size(), 1U);
  kernel.accept_errors = 0;
  time.advance(101ms);
  run_until([&] { return accepted.size() == 1; });
}

TEST_P(ListenerTest, TellsWhoWaitsWhatIsWrongForGood) {
  if (!is_toy()) GTEST_SKIP() << "the system's kernel is not told to fail";
  net::Listener listener(base, net::Address::loopback(0));
  kernel.accept_error = EINVAL;
  kernel.accept_errors = 1;
  std::vector<net::Socket> none;
  EXPECT_EQ(run(error_of(accept_some(listener, none, 1))), std::errc::invalid_argument);
}

TEST_P(ListenerTest, ReportsThatNoSocketCanBeMade) {
  if (!is_toy()) GTEST_SKIP() << "the system's kernel is not told to fail";
  kernel.socket_error = EMFILE;
  try {
    net::Listener listener(base, net::Address::loopback(0));
    ADD_FAILURE();
  } catch (const std::system_error& error) {
    EXPECT_EQ(error.code(), std::errc::too_many_files_open);
  }
}

TEST_P(ListenerTest, RefusesAnAddressThatIsInUse) {
  net::Listener listener(base, net::Address::loopback(0));
  EXPECT_THROW(net::Listener(base, listener.address()), std::system_error);
}

// Sockets of the system.

class ListenerSystemTest : public EveryBackendCo {};

BACKEND_TEST(ListenerSystemTest, SleepsWhileNobodyWaitsForAConnection) {
  Base base(watched());
  net::Listener listener(base, net::Address::loopback(0));
  net::Socket client = net::Socket::make(base, AF_INET, SOCK_STREAM);
  static_cast<void>(client.connect(listener.address()));
  EXPECT_TRUE(stays_asleep(base));
}

BACKEND_TEST(ListenerSystemTest, SleepsWhileItLooksAway) {
  Base base(watched());
  net::Listener listener(base, net::Address::loopback(0));
  net::Socket client = net::Socket::make(base, AF_INET, SOCK_STREAM);
  static_cast<void>(client.connect(listener.address()));
  base.loop(RunMode::nonblock);
  int accepted = 0;
  const NoDescriptors none;
  listener.on_accept([&](net::Socket) { ++accepted; });
  EXPECT_TRUE(stays_asleep(base, 300ms));
  EXPECT_EQ(accepted, 0);
}

BACKEND_TEST(ListenerSystemTest, MakesConnectionsThatAreClosedByExecAndDoNotBlock) {
  Base base(real_time());
  net::ListenOptions options;
  options.keep_alive = true;
  net::Listener listener(base, net::Address::loopback(0), options);
  net::Socket client = net::Socket::make(base, AF_INET, SOCK_STREAM);
  static_cast<void>(client.connect(listener.address()));
  std::vector<net::Socket> accepted;
  run_task(base, accept_some(listener, accepted, 1));
  EXPECT_NE(::fcntl(accepted[0].fd(), F_GETFD) & FD_CLOEXEC, 0);
  EXPECT_NE(::fcntl(accepted[0].fd(), F_GETFL) & O_NONBLOCK, 0);
}

BACKEND_TEST(ListenerSystemTest, DoesNotBlockOnASocketThatWasInherited) {
  Base base(real_time());
  net::Socket inherited(::socket(AF_INET, SOCK_STREAM, 0));
  inherited.bind(net::Address::loopback(0));
  inherited.listen(1);
  net::Listener listener(base, std::move(inherited));
  ASSERT_NE(::fcntl(listener.fd(), F_GETFL) & O_NONBLOCK, 0);
  EXPECT_NE(::fcntl(listener.fd(), F_GETFD) & FD_CLOEXEC, 0);
  std::vector<net::Socket> none;
  const auto accept = [&]() -> Task<> {
    co_await co::with_timeout(1ms, accept_some(listener, none, 1));
  };
  EXPECT_EQ(run_task(base, error_of(accept())), std::errc::timed_out);
}

BACKEND_TEST(ListenerSystemTest, RefusesADescriptorThatIsNoSocket) {
  Base base(real_time());
  net::Socket pipe(::open("/dev/null", O_RDONLY | O_CLOEXEC));
  const int fd = pipe.fd();
  EXPECT_THROW(net::Listener(base, std::move(pipe)), std::system_error);
  EXPECT_EQ(::fcntl(fd, F_GETFD), -1);
}

BACKEND_TEST(ListenerSystemTest, RemovesItsPathAndOnlyItsOwn) {
  Base base(real_time());
  const FreePath path;
  const auto address = net::Address::unix_path(path.name());
  {
    const net::Listener listener(base, address);
    EXPECT_TRUE(path.exists());
  }
  EXPECT_FALSE(path.exists());
  auto first = std::make_unique<net::Listener>(base, address);
  ::unlink(path.name().c_str());
  const net::Listener second(base, address);
  first.reset();
  EXPECT_TRUE(path.exists());
}

BACKEND_TEST(ListenerSystemTest, RemovesARelativePathAfterAChangeOfDirectory) {
  const FreePath path;
  EXPECT_TRUE(succeeds_in_child([&] {
    Base base(real_time());
    EXPECT_EQ(::chdir("/tmp"), 0);
    const std::string relative = path.name().substr(sizeof("/tmp/") - 1);
    const net::Listener listener(base, net::Address::unix_path(relative));
    EXPECT_TRUE(path.exists());
    EXPECT_EQ(::chdir("/"), 0);
  }));
  EXPECT_FALSE(path.exists());
}

BACKEND_TEST(ListenerSystemTest, KeepsItsPathIfAChildDestroysIt) {
  Base base(real_time());
  const FreePath path;
  auto listener = std::make_unique<net::Listener>(base, net::Address::unix_path(path.name()));
  EXPECT_TRUE(succeeds_in_child([&] { listener.reset(); }));
  EXPECT_TRUE(path.exists());
  listener.reset();
  EXPECT_FALSE(path.exists());
}

// Whose parent has made the path and is gone.
BACKEND_TEST(ListenerSystemTest, RemovesThePathOfADaemon) {
  const FreePath path;
  EXPECT_TRUE(succeeds_in_child([&] {
    Base base(real_time());
    auto listener = std::make_unique<net::Listener>(base, net::Address::unix_path(path.name()));
    const pid_t parent = ::getpid();
    if (::fork() != 0) ::_exit(path.exists() ? 0 : 1);
    ::alarm(30);
    while (::kill(parent, 0) == 0) ::usleep(1000);
    listener.reset();
    ::_exit(0);
  }));
  for (int i = 0; i < 30'000 && path.exists(); ++i) ::usleep(1000);
  EXPECT_FALSE(path.exists());
}

BACKEND_TEST(ListenerSystemTest, StopsLookingAfterAnErrorThatIsForGood) {
  if (GetParam() == Backend::kqueue) GTEST_SKIP() << "a listener that was shut down is not told of";
  Base base(real_time());
  net::Listener listener(base, net::Address::loopback(0));
  int errors = 0;
  listener.on_error([&](std::error_code) { ++errors; });
  listener.on_accept([](net::Socket) {});
  ::shutdown(listener.fd(), SHUT_RDWR);
  run(base);
  EXPECT_EQ(errors, 1);
}

BACKEND_TEST(ListenerSystemTest, FailsEveryAcceptAfterAnErrorThatIsForGood) {
  Base base(real_time());
  net::Socket socket = net::Socket::make(base, AF_INET, SOCK_STREAM);
  socket.bind(net::Address::loopback(0));
  net::Listener listener(base, std::move(socket));
  std::vector<net::Socket> none;
  const auto accept = [&]() -> Task<> {
    for (int i = 0; i < 100; ++i) {
      const std::error_code code = co_await error_of(accept_some(listener, none, 1));
      EXPECT_EQ(code, std::errc::invalid_argument);
    }
  };
  run_task(base, accept());
}

BACKEND_TEST(ListenerSystemTest, KeepsTheStateOfItsCallback) {
  Base base(real_time());
  net::Listener listener(base, net::Address::loopback(0));
  std::vector<net::Socket> clients;
  for (int i = 0; i < 3; ++i) {
    clients.push_back(net::Socket::make(base, AF_INET, SOCK_STREAM));
    static_cast<void>(clients.back().connect(listener.address()));
  }
  std::vector<int> calls;
  listener.on_accept([&, count = 0](net::Socket) mutable {
    calls.push_back(++count);
    if (count == 3) listener.on_accept({});
  });
  run(base);
  EXPECT_EQ(calls, (std::vector<int>{1, 2, 3}));
}

BACKEND_TEST(ListenerSystemTest, TakesOverAPathThatWasLeftBehindButNoOther) {
  Base base(real_time());
  const FreePath path;
  const auto address = net::Address::unix_path(path.name());
  {
    net::Socket left = net::Socket::make(base, AF_UNIX, SOCK_STREAM);
    left.bind(address);
    left.listen(1);
  }
  EXPECT_TRUE(path.exists());
  const net::Listener listener(base, address);
  EXPECT_THROW(net::Listener(base, address), std::system_error);
  EXPECT_TRUE(path.exists());
}

BACKEND_TEST(ListenerSystemTest, LeavesAFileAtItsPathAlone) {
  Base base(real_time());
  const FreePath path;
  { const Fd file(::open(path.name().c_str(), O_CREAT | O_WRONLY, 0600)); }
  EXPECT_THROW(net::Listener(base, net::Address::unix_path(path.name())), std::system_error);
  EXPECT_TRUE(path.exists());
}

BACKEND_TEST(ListenerSystemTest, KeepsThePathOfASocketThatIsHandedOn) {
  Base base(real_time());
  const FreePath path;
  net::Listener first(base, net::Address::unix_path(path.name()));
  net::Listener second(base, first.release());
  first.close();
  EXPECT_TRUE(path.exists());
}

BACKEND_TEST(ListenerSystemTest, SharesAPortWithOthersThatWantTo) {
  Base base(real_time());
  net::ListenOptions options;
  options.reuse_port = true;
  const net::Listener first(base, net::Address::loopback(0), options);
  const net::Listener second(base, first.address(), options);
  EXPECT_EQ(first.address(), second.address());
}

#ifdef __linux__
BACKEND_TEST(ListenerSystemTest, ListensOnAnAbstractName) {
  Base base(real_time());
  const auto address = net::Address::unix_abstract("event_net_" + std::to_string(::getpid()));
  net::Listener listener(base, address);
  EXPECT_EQ(listener.address(), address);
  net::Socket client = net::Socket::make(base, AF_UNIX, SOCK_STREAM);
  EXPECT_TRUE(client.connect(address));
  std::vector<net::Socket> accepted;
  run_task(base, accept_some(listener, accepted, 1));
  EXPECT_EQ(accepted[0].peer_credentials().pid, ::getpid());
}
#endif

}  // namespace
}  // namespace event_cpp::test

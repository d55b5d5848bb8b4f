// What a Resolver leaves behind, when it may go, and what it does without memory or descriptors.
#include <fcntl.h>
#include <sys/syscall.h>

#include "dns/support.hpp"
#include "support/children.hpp"
#include "support/failing_new.hpp"
#include "support/process.hpp"

namespace event_cpp::test {
namespace {

class ResolverLifetimeTest : public EveryNetworkWithNames {};
ON_EVERY_NETWORK(ResolverLifetimeTest);

TEST_P(ResolverLifetimeTest, OpensNothingBeforeItAsksAndLeavesNothingOpen) {
  server.answer("a.test", {v4("192.0.2.1"), v6("2001:db8::1")});
  server.fault("a.test", Fault::truncate);
  settle();
  const auto before = open_descriptors();
  const std::size_t toys_before = kernel.open();
  dns::Resolver resolver(base, only({server.address()}));
  EXPECT_EQ(open_descriptors(), before);
  EXPECT_EQ(look_up(resolver, "a.test").answer.addresses.size(), 2U);
  settle();
  EXPECT_EQ(open_descriptors(), before);
  run_until([&] {
    base.post([] {});
    return kernel.open() <= toys_before;
  });
}

TEST_P(ResolverLifetimeTest, ClosesEverySocketOnExec) {
  if (is_toy()) return;
  server.fault("a.test", Fault::drop);
  const auto before = open_descriptors();
  dns::Resolver resolver(base, only({server.address()}));
  Lookup lookup;
  co::TaskGroup tasks(base);
  tasks.spawn(test::look_up(resolver, "a.test", Family::any, lookup));
  std::size_t sockets = 0;
  for (const int fd : open_descriptors()) {
    if (before.contains(fd)) continue;
    ++sockets;
    EXPECT_NE(::fcntl(fd, F_GETFD) & FD_CLOEXEC, 0) << fd;
  }
  EXPECT_EQ(sockets, 2U);
}

TEST_P(ResolverLifetimeTest, EndsLookupsWhenItIsDestroyed) {
  server.fault("a.test", Fault::drop);
  auto resolver = std::make_unique<dns::Resolver>(base, only({server.address()}));
  Lookup lookup;
  co::TaskGroup tasks(base);
  tasks.spawn(test::look_up(*resolver, "a.test", Family::any, lookup));
  run_until([&] { return server.seen().size() == 2; });
  resolver.reset();
  settle();
  EXPECT_EQ(lookup.error, std::errc::operation_canceled);
}

TEST_P(ResolverLifetimeTest, MayEndWithItsBaseWhileALookupWaits) {
  Lookup lookup;
  std::unique_ptr<co::TaskGroup> tasks;
  {
    Options options;
    options.backend = GetParam();
    options.time = &time;
    Base passing(options);
    if (is_toy()) net::set_kernel(passing, &kernel);
    dns::Resolver resolver(passing, only({server.address()}));
    tasks = std::make_unique<co::TaskGroup>(passing);
    tasks->spawn(test::look_up(resolver, "a.test", Family::any, lookup));
    // One of the base's own as well, which nobody has made.
    tasks->spawn([]() -> co::Task<> { co_await net::resolve("localhost", 80); });
  }
  EXPECT_FALSE(lookup.found());
}

TEST_P(ResolverLifetimeTest, SleepsWhileNobodyAsks) {
  if (is_toy()) return;
  Options options;
  options.backend = GetParam();
  Base quiet(options);
  dns::Resolver resolver(quiet, only({server.address()}));
  const std::size_t callbacks = quiet.dispatch();  // nothing keeps it running
  EXPECT_EQ(callbacks, 0U);
}

TEST_P(ResolverLifetimeTest, SaysThatThereIsNoDescriptorLeft) {
  if (is_toy()) return;
  server.answer("a.test", {v4("192.0.2.1")});
  dns::Resolver resolver(base, only({server.address()}));
  {
    const NoDescriptorLeft none;
    EXPECT_EQ(look_up(resolver, "a.test").error, std::errc::too_many_files_open);
  }
  EXPECT_TRUE(look_up(resolver, "a.test").found());
}

TEST_P(ResolverLifetimeTest, KeepsWhatTheFilesSayWhileNoDescriptorIsLeft) {
  if (is_toy()) return;
  server.answer("a.test", {v4("192.0.2.1")});
  const std::string servers = "nameserver " + server.address().text() + "\n";
  const TemporaryFile conf(servers);
  const TemporaryFile hosts("192.0.2.2 b.test\n");
  dns::Options options = only({});
  options.resolv_conf = conf.path();
  options.hosts_file = hosts.path();
  dns::Resolver resolver(base, options);
  {
    const NoDescriptorLeft none;
    EXPECT_EQ(look_up(resolver, "a.test").error, std::errc::too_many_files_open);
    EXPECT_EQ(look_up(resolver, "b.test").error, std::errc::too_many_files_open);
  }
  EXPECT_TRUE(look_up(resolver, "a.test").found());
  conf.write(servers + "# another one\n");
  hosts.write("192.0.2.3 b.test\n");
  time.advance(1s);
  {
    const NoDescriptorLeft none;
    EXPECT_TRUE(look_up(resolver, "a.test").answer.cached);
    EXPECT_EQ(addresses_of(resolver, "b.test"), std::vector{v4("192.0.2.2")});
  }
  time.advance(1s);
  EXPECT_EQ(addresses_of(resolver, "b.test"), std::vector{v4("192.0.2.3")});
}

// At whatever moment.
TEST_P(ResolverLifetimeTest, OfATestServerEndsQuietlyWhenItsClientHasLeft) {
  for (int rounds = 0; rounds < 12; ++rounds) {
    auto gone = std::make_unique<Server>(base);
    {
      net::Socket client = net::Socket::make(base, AF_INET, SOCK_STREAM);
      static_cast<void>(client.connect(gone->address()));
      settle();
    }
    for (int i = 0; i < rounds; ++i) base.loop(RunMode::nonblock);
    gone.reset();
    EXPECT_NO_THROW(settle()) << rounds;
  }
}

// A file of which the kernel says EIO when it is read, though it is a regular one.
constexpr const char* kUnreadable = "/proc/self/mem";

bool has_unreadable_file() {
  std::ifstream file(kUnreadable);
  return file.is_open() && file.get() == std::ifstream::traits_type::eof() && file.bad();
}

// Points to another file.
class Link {
 public:
  explicit Link(const std::filesystem::path& target)
      : path_("/tmp/event_dns_link_" + std::to_string(::getpid())) {
    point_to(target);
  }
  ~Link() { std::filesystem::remove(path_); }
  Link(const Link&) = delete;
  Link& operator=(const Link&) = delete;

  void point_to(const std::filesystem::path& target) const {
    std::filesystem::remove(path_);
    std::filesystem::create_symlink(target, path_);
  }
  const std::filesystem::path& path() const { return path_; }

 private:
  const std::filesystem::path path_;
};

TEST_P(ResolverLifetimeTest, SaysThatAFileCannotBeReadForTheFirstTime) {
  if (is_toy() || !has_unreadable_file()) GTEST_SKIP() << "no file here fails to be read";
  server.answer("a.test", {v4("192.0.2.1")});
  const TemporaryFile good("192.0.2.2 a.test\n");
  for (const bool is_hosts : {false, true}) {
    const Link link(kUnreadable);
    dns::Options options = only({server.address()});
    (is_hosts ? options.hosts_file : options.resolv_conf) = link.path();
    dns::Resolver resolver(base, options);
    EXPECT_EQ(look_up(resolver, "a.test").error, std::errc::io_error);
    link.point_to(good.path());
    EXPECT_TRUE(look_up(resolver, "a.test").found());
  }
}

TEST_P(ResolverLifetimeTest, KeepsWhatAFileSaysWhileItCannotBeRead) {
  if (is_toy() || !has_unreadable_file()) GTEST_SKIP() << "no file here fails to be read";
  server.answer("a.test", {v4("192.0.2.1")});
  const TemporaryFile hosts("192.0.2.2 a.test\n");
  const Link link(hosts.path());
  dns::Options options = only({server.address()});
  options.hosts_file = link.path();
  dns::Resolver resolver(base, options);
  EXPECT_EQ(addresses_of(resolver, "a.test"), std::vector{v4("192.0.2.2")});
  link.point_to(kUnreadable);
  resolver.reload();
  EXPECT_EQ(addresses_of(resolver, "a.test"), std::vector{v4("192.0.2.2")});
  link.point_to("/nowhere");
  resolver.reload();
  EXPECT_EQ(addresses_of(resolver, "a.test"), std::vector{v4("192.0.2.1")});
}

#ifdef __linux__
// In a child, as the kernel refuses for good.
TEST_P(ResolverLifetimeTest, TellsAnErrorOfThisMachineAsWhatItIs) {
  if (is_toy()) return;
  if (!can_refuse_calls()) GTEST_SKIP() << "this kernel has no filters of system calls";
  struct Refused {
    long number;
    int error;
  };
  std::vector<Refused> all = {{SYS_getrandom, EIO}, {SYS_getrandom, ENOSYS}, {SYS_socket, EMFILE}};
  if (base.backend() == Backend::epoll) all.push_back({SYS_epoll_ctl, ENOSPC});
  for (const auto& [number, error] : all) {
    EXPECT_TRUE(succeeds_in_child([&, number = number, error = error] {
      base.after_fork();
      server.answer("a.test", {v4("192.0.2.1")});
      dns::Resolver resolver(base, only({server.address()}));
      // Nothing is left that may be new to the process or the base.
      EXPECT_TRUE(look_up(resolver, "a.test").found());
      resolver.flush();
      ASSERT_TRUE(refuse_calls({number}, error));
      EXPECT_EQ(look_up(resolver, "a.test").error, std::error_code(error, std::system_category()));
    })) << number;
  }
}
#endif

// The server is on another base, which has memory.
class ResolverMemoryTest : public EveryBackendCo {
 protected:
  ResolverMemoryTest() {
    server.answer("a.test", {v4("192.0.2.1"), v4("192.0.2.2"), v4("192.0.2.3")});
    server.alias("www.test", "a.test");
  }

  static void settle(Base& base) {
    for (int i = 0; i < 20; ++i) base.loop(RunMode::nonblock);
  }
  void let_server_answer(std::size_t queries) {
    const Bounded bounded(servers);
    while (server.seen().size() < queries) servers.loop(RunMode::once);
  }

  Base servers{options()};
  Base base{options()};
  Server server{servers};
  dns::Resolver resolver{base, only({server.address()})};
};

BACKEND_TEST(ResolverMemoryTest, IsNotNeededForAClearErrorAtTheStart) {
  bool failed = true;
  for (std::size_t allowed = 0; failed; ++allowed) {
    ASSERT_LT(allowed, 1000U);
    resolver.flush();
    Lookup lookup;
    co::TaskGroup tasks(base);
    std::size_t failures = 0;
    try {
      const FailingNew failing(allowed);
      tasks.spawn(test::look_up(resolver, "www.test", Family::v4, lookup));
      failures = failing.failures();
    } catch (const std::bad_alloc&) {
      failures = 1;
      lookup.done = true;
    }
    failed = failures > 0;
    if (lookup.done) {
      EXPECT_EQ(resolver.under_way(), 0U);
      continue;
    }
    let_server_answer(server.seen().size() + 1);
    const Bounded bounded(base);
    while (!lookup.done) base.loop(RunMode::once);
    EXPECT_TRUE(lookup.found());
  }
}

BACKEND_TEST(ResolverMemoryTest, IsNotNeededForAClearErrorWhenTheAnswerComes) {
  bool failed = true;
  for (std::size_t allowed = 0; failed; ++allowed) {
    ASSERT_LT(allowed, 1000U);
    resolver.flush();
    Lookup lookup;
    co::TaskGroup tasks(base);
    tasks.spawn(test::look_up(resolver, "www.test", Family::v4, lookup));
    let_server_answer(server.seen().size() + 1);
    {
      const FailingNew failing(allowed);
      for (int i = 0; i < 20; ++i) {
        try {
          base.loop(RunMode::nonblock);
        } catch (const std::bad_alloc&) {
          continue;
        }
      }
      failed = failing.failures() > 0;
    }
    settle(base);
    ASSERT_TRUE(lookup.done);
    if (lookup.error) {
      EXPECT_EQ(lookup.error, std::errc::not_enough_memory);
    }
    EXPECT_TRUE(failed || lookup.found());
    EXPECT_EQ(resolver.under_way(), 0U);
  }
}

}  // namespace
}  // namespace event_cpp::test

// dump(): what the tasks of a base are doing.
#include <sstream>
#include <stdexcept>
#include <string>

#include "co/support.hpp"

namespace event_cpp::test {
namespace {

using co::Task;
using co::TaskGroup;

Task<> naps(Duration delay) { co_await co::sleep(delay); }

Task<> naps_within_limit() { co_await co::with_timeout(2h, naps(1h)); }

class TaskDumpTest : public EveryBackendCo {
 protected:
  static std::string dumped(Base& base) {
    std::ostringstream out;
    co::dump(base, out);
    return out.str();
  }
};

BACKEND_TEST(TaskDumpTest, ShowsEachGroupAndWhatItsTasksWaitFor) {
  Base base(options());
  EXPECT_EQ(dumped(base), "");
  TaskGroup clients(base, "clients");
  TaskGroup unnamed(base, nullptr);
  const Pipe silent = make_pipe();
  const auto reads = [](int fd) -> Task<> { co_await co::ready(fd, Events::read); };
  clients.spawn(reads(silent.reader.get()));
  clients.spawn(naps_within_limit());
  const unsigned line = __LINE__ + 1;
  const auto naps_twice = []() -> Task<> { co_await co::when_all(naps(1h), naps(2h)); };
  clients.spawn(naps_twice());
  const auto yields = []() -> Task<> { co_await co::yield(); };
  unnamed.spawn(yields());

  const std::string text = dumped(base);
  const auto shows = [&text](const std::string& what) {
    return text.find(what) != std::string::npos;
  };
  EXPECT_TRUE(shows("group clients tasks 3\n")) << text;
  EXPECT_TRUE(shows("  ready " + std::to_string(silent.reader.get()) + " line ")) << text;
  EXPECT_TRUE(shows("\n  with_timeout line ")) << text;
  EXPECT_TRUE(shows("\n    sleep line ")) << text;
  EXPECT_TRUE(shows("\n  when_all line " + std::to_string(line) + " in ")) << text;
  EXPECT_TRUE(shows("group - tasks 1\n  its turn in ")) << text;
}

BACKEND_TEST(TaskDumpTest, MayBeCalledByATaskAndBesideFailedOnes) {
  Base base(options());
  TaskGroup group(base, [](const std::exception_ptr&) {});
  std::string text;
  const auto fails = []() -> Task<> {
    co_await naps(1s);
    co_await naps(1s);
    throw std::runtime_error("failed");
  };
  const auto dumps = [](std::string& into) -> Task<> {
    co_await naps(1s);
    co_await naps(1s);
    Base& here = co_await co::base();
    into = dumped(here);
  };
  group.spawn(fails());
  group.spawn(dumps(text));
  run(base);
  EXPECT_NE(text.find("its failure to be reported\n"), std::string::npos) << text;
  EXPECT_NE(text.find("nothing, it runs\n"), std::string::npos) << text;
}

BACKEND_TEST(TaskDumpTest, IsEmptyAfterTheLastGroup) {
  Base base(options());
  { const TaskGroup group(base); }
  EXPECT_EQ(dumped(base), "");
}

}  // namespace
}  // namespace event_cpp::test

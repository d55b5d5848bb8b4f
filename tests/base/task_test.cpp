// A function to run once: moved about, run or not, it is destroyed once.
#include <gtest/gtest.h>

#include <array>
#include <memory>
#include <new>
#include <type_traits>
#include <utility>
#include <vector>

#include "event/detail/callable.hpp"
#include "support/failing_new.hpp"
#include "support/tracked.hpp"

namespace event_cpp::test {
namespace {

using detail::Task;

static_assert(!std::is_copy_constructible_v<Task> && !std::is_copy_assignable_v<Task>);
static_assert(std::is_nothrow_move_constructible_v<Task>);
static_assert(std::is_nothrow_move_assignable_v<Task>);
static_assert(!std::is_convertible_v<void (*)(), Task>);

// Callables of every kind of storage, which count their calls and share `owned`. That they are
// destroyed shows in its use count.
struct Small {
  std::shared_ptr<int> owned;
  void operator()() const { ++*owned; }
};
struct MoveOnly {
  explicit MoveOnly(std::shared_ptr<int> counter)
      : owned(std::make_unique<std::shared_ptr<int>>(std::move(counter))) {}
  std::unique_ptr<std::shared_ptr<int>> owned;
  void operator()() const { ++**owned; }
};
struct Large {
  explicit Large(std::shared_ptr<int> counter) : owned(std::move(counter)) {}
  std::shared_ptr<int> owned;
  std::array<int, 100> more{};
  void operator()() {
    ++*owned;
    ++more[99];
  }
};
struct LargeMoveOnly : MoveOnly {
  using MoveOnly::MoveOnly;
  std::array<void*, 3> more{};
};
struct MostAligned : Small {
  explicit MostAligned(std::shared_ptr<int> counter) : Small{std::move(counter)} {}
  alignas(64) int aligned = 0;
};

template <class F>
class TaskOf : public testing::Test {
 protected:
  Task make() { return Task(F{counter}); }

  std::shared_ptr<int> counter = std::make_shared<int>(0);
};
using Callables = testing::Types<Small, MoveOnly, Large, LargeMoveOnly, MostAligned>;
TYPED_TEST_SUITE(TaskOf, Callables);

TYPED_TEST(TaskOf, RunsItsCallable) {
  Task task = this->make();

  task();

  EXPECT_EQ(*this->counter, 1);
}

TYPED_TEST(TaskOf, DestroysItsCallableRunOrNot) {
  {
    const Task never_run = this->make();
    Task run = this->make();
    run();
    EXPECT_EQ(this->counter.use_count(), 3);
  }
  EXPECT_EQ(this->counter.use_count(), 1);
}

TYPED_TEST(TaskOf, IsOneAfterItWasMoved) {
  Task first = this->make();
  Task second(std::move(first));
  EXPECT_EQ(this->counter.use_count(), 2);

  second();

  EXPECT_EQ(*this->counter, 1);
}

TYPED_TEST(TaskOf, DestroysWhatItHeldWhenAnotherIsAssigned) {
  const auto other = std::make_shared<int>(0);
  Task task = this->make();

  task = Task(Small{other});

  EXPECT_EQ(this->counter.use_count(), 1);
  task();
  EXPECT_EQ(*other, 1);
}

TYPED_TEST(TaskOf, TakesTheCallableOfOneThatIsAssigned) {
  Task task(Small{std::make_shared<int>(0)});

  task = this->make();
  task();

  EXPECT_EQ(*this->counter, 1);
  EXPECT_EQ(this->counter.use_count(), 2);
}

TYPED_TEST(TaskOf, SurvivesBeingAssignedToItself) {
  Task task = this->make();
  Task& same = task;

  task = std::move(same);
  task();

  EXPECT_EQ(*this->counter, 1);
  EXPECT_EQ(this->counter.use_count(), 2);
}

TYPED_TEST(TaskOf, MayBeAssignedToOneThatWasMovedFrom) {
  Task task = this->make();
  Task taken(std::move(task));

  task = std::move(taken);
  task();

  EXPECT_EQ(*this->counter, 1);
  EXPECT_EQ(this->counter.use_count(), 2);
}

TYPED_TEST(TaskOf, StaysOneInAVectorThatGrows) {
  {
    std::vector<Task> tasks;
    for (int i = 0; i < 100; ++i) tasks.push_back(this->make());
    tasks.erase(tasks.begin(), tasks.begin() + 30);
    for (Task& task : tasks) task();
    EXPECT_EQ(this->counter.use_count(), 71);
  }
  EXPECT_EQ(*this->counter, 70);
  EXPECT_EQ(this->counter.use_count(), 1);
}

int calls_of_function = 0;
void function() { ++calls_of_function; }

TEST(QueuedTaskTest, TakesAFunctionAndAFunctionPointer) {
  calls_of_function = 0;
  Task by_name(function);
  Task by_pointer(&function);

  by_name();
  by_pointer();

  EXPECT_EQ(calls_of_function, 2);
}

TEST(QueuedTaskTest, CopiesAnLvalueAndIgnoresWhatTheCallableReturns) {
  const auto counter = std::make_shared<int>(0);
  const auto callable = [counter] { return ++*counter; };
  Task task(callable);
  EXPECT_EQ(counter.use_count(), 3);

  task();

  EXPECT_EQ(*counter, 1);
}

TEST(QueuedTaskTest, MovesACallableThatKnowsItsPlaceInsteadOfItsBytes) {
  static_assert(sizeof(Tracked) == detail::kInlineSize);
  int alive = 0;
  {
    std::vector<Task> tasks;
    for (int i = 0; i < 10; ++i) tasks.push_back(Task(Tracked(alive)));
    tasks.erase(tasks.begin());
    for (Task& task : tasks) task();
    EXPECT_EQ(alive, 9);
  }
  EXPECT_EQ(alive, 0);
}

TEST(QueuedTaskTest, KeepsEveryByteOfATrivialCallable) {
  using Bytes = std::array<unsigned char, detail::kInlineSize>;
  static Bytes seen;
  Bytes bytes{};
  for (std::size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<unsigned char>(i + 1);

  Task task([bytes] { seen = bytes; });
  std::vector<Task> moved;
  moved.push_back(std::move(task));
  moved.front()();

  EXPECT_EQ(seen, bytes);
}

TEST(QueuedTaskTest, LetsAnExceptionOfItsCallableOut) {
  const auto counter = std::make_shared<int>(0);
  {
    Task task([counter] { throw 7; });
    EXPECT_THROW(task(), int);
  }
  EXPECT_EQ(counter.use_count(), 1);
}

TEST(QueuedTaskTest, AllocatesOnceForALargeCallableAndNeverForASmallOne) {
  if (!FailingNew::works()) GTEST_SKIP() << "operator new cannot be counted here";
  const auto counter = std::make_shared<int>(0);
  const CountingNew calls;

  Task small(Small{counter});
  Task moved(std::move(small));
  EXPECT_EQ(calls.count(), 0U);

  Task large(Large{counter});
  Task moved_large(std::move(large));
  EXPECT_EQ(calls.count(), 1U);
}

TEST(QueuedTaskTest, LosesNothingIfThereIsNoMemoryForItsCallable) {
  if (!FailingNew::works()) GTEST_SKIP() << "operator new cannot be made to fail here";
  const auto counter = std::make_shared<int>(0);
  Large callable{counter};
  {
    const FailingNew now;
    EXPECT_THROW(Task(std::move(callable)), std::bad_alloc);
  }
  EXPECT_EQ(counter.use_count(), 2) << "the callable still has it";
}

}  // namespace
}  // namespace event_cpp::test

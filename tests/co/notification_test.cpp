// Notification: who is woken, and that no wake-up is lost.
#include <optional>
#include <vector>

#include "co/support.hpp"

namespace event_cpp::test {
namespace {

using co::Notification;
using co::Task;
using co::TaskGroup;

Task<> awaits_notice(Notification& notification, std::vector<int>& order, int n) {
  co_await notification.wait();
  order.push_back(n);
}

class NotificationTest : public EveryBackendCo {};

BACKEND_TEST(NotificationTest, WakesTheOneThatHasWaitedLongestOrAll) {
  Base base(options());
  Notification notification;
  TaskGroup group(base);
  std::vector<int> order;
  notification.notify_one();  // is not kept
  for (int i = 1; i <= 4; ++i) group.spawn(awaits_notice(notification, order, i));
  notification.notify_one();
  EXPECT_TRUE(order.empty()) << "not in the call";
  base.loop(RunMode::nonblock);
  EXPECT_EQ(order, (std::vector<int>{1}));
  notification.notify_all();
  run(base);
  EXPECT_EQ(order, (std::vector<int>{1, 2, 3, 4}));
}

BACKEND_TEST(NotificationTest, PassesTheWakeUpOfADestroyedTaskOn) {
  Base base(options());
  Notification notification;
  std::vector<int> order;
  std::optional<TaskGroup> first(std::in_place, base);
  TaskGroup second(base);
  first->spawn(awaits_notice(notification, order, 1));
  second.spawn(awaits_notice(notification, order, 2));
  notification.notify_one();
  first.reset();
  run(base);
  EXPECT_EQ(order, (std::vector<int>{2}));
}

BACKEND_TEST(NotificationTest, WakesNobodyElseForADestroyedTaskIfAllWereWoken) {
  Base base(options());
  Notification notification;
  std::vector<int> order;
  std::optional<TaskGroup> first(std::in_place, base);
  TaskGroup second(base);
  first->spawn(awaits_notice(notification, order, 1));
  notification.notify_all();
  second.spawn(awaits_notice(notification, order, 2));
  first.reset();
  run(base);
  EXPECT_TRUE(order.empty());
}

BACKEND_TEST(NotificationTest, MayGoWhileTasksWait) {
  Base base(options());
  std::optional<Notification> notification(std::in_place);
  TaskGroup group(base, [](const std::exception_ptr&) {});
  std::vector<int> order;
  group.spawn(awaits_notice(*notification, order, 1));
  group.spawn(awaits_notice(*notification, order, 2));
  notification->notify_one();
  notification.reset();
  run(base);
  EXPECT_EQ(order, (std::vector<int>{1}));
  EXPECT_EQ(group.size(), 0U);
}

}  // namespace
}  // namespace event_cpp::test

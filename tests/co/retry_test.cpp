// An hour of retries with exponential back-off, without waiting: how a program tests its own.
#include <algorithm>
#include <stdexcept>
#include <vector>

#include "co/support.hpp"

namespace event_cpp::test {
namespace {

using co::Task;

// A service that does not answer before `up`.
class Service {
 public:
  Service(Base& base, TimePoint up) : base_(base), up_(up) {}

  Task<int> ask() {
    requests.push_back(base_.now());
    if (base_.now() < up_) co_await co::sleep(Duration::max());
    co_return 42;
  }

  std::vector<TimePoint> requests;

 private:
  Base& base_;
  TimePoint up_;
};

// What is tested: each request has ten seconds, and the delay doubles up to five minutes.
Task<int> ask_until_answered(Service& service) {
  for (Duration delay = 1s;; delay = std::min<Duration>(2 * delay, 5min)) {
    const std::optional<int> answer = co_await co::try_with_timeout(10s, service.ask());
    if (answer.has_value()) co_return *answer;
    co_await co::sleep(delay);
  }
}

class RetryTest : public EveryBackendCo {};

BACKEND_TEST(RetryTest, AsksAgainAfterDelaysThatDoubleUntilItIsAnswered) {
  Base base(options());
  const TimePoint begin = time.now();
  Service service(base, begin + 1h);
  EXPECT_EQ(run_task(base, ask_until_answered(service)), 42);

  std::vector<Duration> delays;
  for (std::size_t i = 1; i < service.requests.size(); ++i) {
    delays.push_back(service.requests[i] - service.requests[i - 1] - 10s);
  }
  const std::vector<Duration> doubling{1s, 2s, 4s, 8s, 16s, 32s, 64s, 128s, 256s};
  ASSERT_GT(delays.size(), doubling.size());
  EXPECT_TRUE(std::equal(doubling.begin(), doubling.end(), delays.begin()));
  EXPECT_TRUE(std::all_of(delays.begin() + 9, delays.end(), [](Duration d) { return d == 5min; }));
  EXPECT_GE(time.now() - begin, 1h);
  EXPECT_LT(time.now() - begin, 1h + 5min + 10s);
}

BACKEND_TEST(RetryTest, IsGivenUpWhenALimitAroundAllOfItHasPassed) {
  Base base(options());
  const TimePoint begin = time.now();
  Service service(base, TimePoint::max());
  const auto gives_up = [](Service& never) -> Task<> {
    co_await co::with_timeout(1h, ask_until_answered(never));
  };
  EXPECT_EQ(run_task(base, error_of(gives_up(service))), std::errc::timed_out);
  EXPECT_EQ(time.now() - begin, 1h);
  EXPECT_EQ(base.size(), 0U) << "no timer is left behind";
}

}  // namespace
}  // namespace event_cpp::test

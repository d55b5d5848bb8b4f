// Wall clocks, as people and time servers set them.
#include <chrono>
#include <iterator>

#include "endurance/world.hpp"

namespace event_cpp::endurance {
namespace {

using namespace std::chrono_literals;

constexpr WallTime at(std::chrono::year_month_day day, Duration time = {}) {
  return WallTime(std::chrono::sys_days(day).time_since_epoch()) + time;
}

// Seconds before something that programs trip over, and far ends.
constexpr WallTime kDates[] = {
    at(std::chrono::year(1902) / 1 / 1),
    at(std::chrono::year(1969) / 12 / 31, 24h - 5s),
    at(std::chrono::year(1970) / 1 / 1),
    at(std::chrono::year(1972) / 2 / 28, 24h - 1s),
    at(std::chrono::year(1999) / 12 / 31, 24h - 1s),
    at(std::chrono::year(2000) / 2 / 28, 24h - 1s),
    at(std::chrono::year(2016) / 12 / 31, 24h - 1s),
    at(std::chrono::year(2038) / 1 / 19, 3h + 14min + 6s),
    at(std::chrono::year(2100) / 2 / 28, 24h - 1s),
    at(std::chrono::year(2150) / 1 / 1),
};

Duration step(Random& random) {
  const auto part = [&](Duration most) {
    return Duration(
        1 + static_cast<Duration::rep>(random.below(static_cast<std::size_t>(most.count()))));
  };
  switch (random.below(12)) {
    case 0:
    case 1:
    case 2:
      return part(500us);
    case 3:
    case 4:
    case 5:
      return part(128ms);
    case 6:
      return 1s;
    case 7:
    case 8:
      return 1h;
    case 9:
      return 24h;
    case 10:
      return part(30 * 24h);
    default:
      return random.one_in(4) ? 366 * 24h : 365 * 24h;
  }
}

}  // namespace

WallTime set_by_chance(WallTime from, Random& random) {
  const bool far = from < kDates[0] || from > *std::rbegin(kDates);
  if (far || random.one_in(25)) return kDates[random.below(std::size(kDates))];
  return random.one_in(2) ? from + step(random) : from - step(random);
}

WallTime calendar_date(WallTime after, Random& random) {
  const auto today = std::chrono::floor<std::chrono::days>(after);
  std::chrono::year_month_day day(today);
  if (random.one_in(2)) {
    day = day.year() / day.month() / 1;
    return at(day + std::chrono::months(1));
  }
  std::chrono::year year = day.year();
  while (!year.is_leap() || at(year / 2 / 29) <= after) ++year;
  return at(year / 2 / 29);
}

}  // namespace event_cpp::endurance

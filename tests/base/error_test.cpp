// The errors of the library's own.
#include <gtest/gtest.h>

#include <iterator>
#include <set>
#include <string>

#include "event/event.hpp"
#include "support/errors.hpp"

namespace event_cpp::test {
namespace {

constexpr Errc kErrcs[] = {Errc::already_attached,
                           Errc::nothing_to_wait_for,
                           Errc::descriptor_missing,
                           Errc::reentered,
                           Errc::unsupported,
                           Errc::deadlock,
                           Errc::truncated,
                           Errc::torn,
                           Errc::too_long};

TEST(ErrorTest, BelongsToACategoryOfItsOwn) {
  EXPECT_STREQ(category().name(), "event");
  EXPECT_EQ(&category(), &category());
  for (const Errc code : kErrcs) {
    const std::error_code error = code;
    EXPECT_EQ(&error.category(), &category());
    EXPECT_EQ(error.value(), static_cast<int>(code));
    EXPECT_TRUE(error) << "none of them is zero, which means success";
  }
}

TEST(ErrorTest, SaysWhatIsWrong) {
  std::set<std::string> messages;
  for (const Errc code : kErrcs) messages.insert(make_error_code(code).message());

  EXPECT_EQ(messages.size(), std::size(kErrcs));
  for (const std::string& message : messages) EXPECT_FALSE(message.empty());
  EXPECT_FALSE(category().message(12345).empty());
}

TEST(ErrorTest, DiffersFromTheOthersAndFromTheSystems) {
  EXPECT_NE(make_error_code(Errc::already_attached), make_error_code(Errc::nothing_to_wait_for));
  EXPECT_NE(make_error_code(Errc::already_attached), system_error(1));
}

}  // namespace
}  // namespace event_cpp::test

// The errors of the library's own.
#include <set>
#include <string>

#include "support/every_backend.hpp"

namespace event_cpp::test {
namespace {

constexpr Errc kErrcs[] = {Errc::already_attached, Errc::nothing_to_wait_for,
                           Errc::descriptor_missing, Errc::reentered, Errc::unsupported};

TEST(Errors, BelongToACategoryOfTheirOwn) {
  EXPECT_STREQ(category().name(), "event");
  EXPECT_EQ(&category(), &category());
  for (const Errc code : kErrcs) {
    const std::error_code error = code;
    EXPECT_EQ(&error.category(), &category());
    EXPECT_EQ(error.value(), static_cast<int>(code));
    EXPECT_TRUE(error) << "none of them is zero, which means success";
  }
}

TEST(Errors, SayWhatIsWrong) {
  std::set<std::string> messages;
  for (const Errc code : kErrcs) messages.insert(make_error_code(code).message());

  EXPECT_EQ(messages.size(), std::size(kErrcs));
  for (const std::string& message : messages) EXPECT_FALSE(message.empty());
  EXPECT_FALSE(category().message(12345).empty());
}

TEST(Errors, DifferFromEachOtherAndFromTheSystems) {
  EXPECT_NE(make_error_code(Errc::already_attached), make_error_code(Errc::nothing_to_wait_for));
  EXPECT_NE(make_error_code(Errc::already_attached), system_error(1));
}

TEST_P(EveryBackend, ThrowsTheErrorThatTryAttachReturns) {
  Base base(options());
  Event nothing(base, -1, Events::none, Never());
  Event closed(base, closed_number(), Events::read, Never());
  for (Event* event : {&nothing, &closed}) {
    const std::error_code error = event->try_attach();

    EXPECT_TRUE(error);
    EXPECT_EQ(thrown_by([&] { event->attach(); }), error);
  }
}

}  // namespace
}  // namespace event_cpp::test

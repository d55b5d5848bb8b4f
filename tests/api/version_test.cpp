// The version that a program asks for.
#include "event/version.hpp"

#include <gtest/gtest.h>

#include <string>

namespace event_cpp::test {
namespace {

TEST(VersionTest, OfTheLibraryIsThatOfItsHeaders) {
  EXPECT_EQ(std::to_string(EVENT_VERSION_MAJOR) + '.' + std::to_string(EVENT_VERSION_MINOR) + '.' +
                std::to_string(EVENT_VERSION_PATCH),
            version());
}

}  // namespace
}  // namespace event_cpp::test

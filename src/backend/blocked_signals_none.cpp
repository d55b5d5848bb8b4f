#include <cerrno>

#include "backend/blocked_signals.hpp"

namespace event_cpp::detail {

int BlockedSignals::open() noexcept { return ENOTSUP; }

void BlockedSignals::close() noexcept {}

void BlockedSignals::changed(int) noexcept {}

int BlockedSignals::take() const noexcept { return 0; }

}  // namespace event_cpp::detail

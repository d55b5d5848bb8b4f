#include <cerrno>

#include "poller/pending_signals.hpp"

namespace event_cpp::detail {

int PendingSignals::open() noexcept { return ENOTSUP; }

void PendingSignals::close() noexcept {}

void PendingSignals::changed(int) noexcept {}

int PendingSignals::take() const noexcept { return 0; }

}  // namespace event_cpp::detail

#include "event/co/when.hpp"

namespace event_cpp::co::detail {

void Branches::ended_at_once(std::size_t i, bool failed) noexcept {
  --left_;
  decide(i, failed);
}

bool Branches::all_started() noexcept {
  starting_ = false;
  if (first_ != kNone) cancel_all();
  return left_ > 0;
}

// Those that have ended take no notice.
void Branches::cancel_all() noexcept {
  for (std::size_t i = 0; i < count_; ++i) chains_[i].cancel();
}

void Branches::decide(std::size_t i, bool failed) noexcept {
  if (first_ != kNone || (until_ == Until::all && !failed)) return;
  first_ = i;
  if (!starting_) cancel_all();
}

void* Branches::ended(Chain& chain) noexcept {
  const auto i = static_cast<std::size_t>(&chain - chains_);
  --left_;
  decide(i, failed(i));
  return left_ > 0 ? nullptr : wait_.finish();
}

}  // namespace event_cpp::co::detail

#include "event/co/when.hpp"

namespace event_cpp::co::detail {

void Branches::branch_ended(std::size_t i) noexcept {
  --left_;
  if (first_ != kNone || (until_ == Until::all && chains_[i].error == nullptr)) return;
  first_ = i;
  if (!starting_) cancel_all();
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

void* Branches::ended(Chain& chain) noexcept {
  branch_ended(static_cast<std::size_t>(&chain - chains_));
  return left_ > 0 ? nullptr : wait_.finish();
}

}  // namespace event_cpp::co::detail

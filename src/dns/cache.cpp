#include "dns/cache.hpp"

#include <utility>

namespace event_cpp::dns::detail {

const Cache::Known& Cache::find(const std::string& name, TimePoint now) noexcept {
  static const Known nothing;
  const auto there = by_name_.find(name);
  if (there == by_name_.end()) return nothing;
  names_.splice(names_.begin(), names_, there->second);
  Known& known = there->second->known;
  for (std::shared_ptr<Found>* const found : {&known.v4, &known.v6}) {
    if (*found != nullptr && (*found)->holds_until <= now) found->reset();
  }
  return known;
}

void Cache::keep(const std::string& name, Type type, std::shared_ptr<Found> found) {
  if (most_ == 0) return;
  const auto there = by_name_.find(name);
  if (there != by_name_.end()) {
    names_.splice(names_.begin(), names_, there->second);
    there->second->known.of(type) = std::move(found);
    return;
  }
  Names added;
  added.push_back(Name{name, {}});
  added.front().known.of(type) = std::move(found);
  by_name_.emplace(added.front().name, added.begin());
  names_.splice(names_.begin(), added);
  if (names_.size() <= most_) return;
  by_name_.erase(names_.back().name);
  names_.pop_back();
}

void Cache::clear() noexcept {
  by_name_.clear();
  names_.clear();
}

}  // namespace event_cpp::dns::detail

#include "dns/cache.hpp"

#include <utility>

namespace event_cpp::dns::detail {

std::shared_ptr<Found> Cache::find(const std::string& name, Type type, TimePoint now) noexcept {
  const auto known = by_name_.find(name);
  if (known == by_name_.end()) return nullptr;
  names_.splice(names_.begin(), names_, known->second);
  std::shared_ptr<Found>& found = known->second->of(type);
  if (found != nullptr && found->holds_until <= now) found.reset();
  return found;
}

void Cache::keep(const std::string& name, Type type, std::shared_ptr<Found> found) {
  if (most_ == 0) return;
  const auto known = by_name_.find(name);
  if (known != by_name_.end()) {
    names_.splice(names_.begin(), names_, known->second);
    known->second->of(type) = std::move(found);
    return;
  }
  Names added;
  added.push_back(Name{name, nullptr, nullptr});
  added.front().of(type) = std::move(found);
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

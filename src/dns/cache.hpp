// What was found, for as long as it holds.
#pragma once

#include <cstddef>
#include <list>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "dns/message.hpp"
#include "event/time.hpp"

namespace event_cpp::dns::detail {

// The answer to one query: shared by the cache and by those who asked.
struct Found {
  Errc error = Errc::none;
  std::vector<Ip> addresses;  // of one family
  bool in_order = false;      // they are ranked and sorted
  std::string canonical;
  TimePoint holds_until;
};

// At most so many names; the one that was not used for longest makes room.
class Cache {
 public:
  explicit Cache(std::size_t most) noexcept : most_(most) {}

  // What is known of a name: null if there is nothing, or if it does not hold any more.
  struct Known {
    std::shared_ptr<Found> v4;
    std::shared_ptr<Found> v6;

    std::shared_ptr<Found>& of(Type type) noexcept { return type == Type::a ? v4 : v6; }
  };
  // Valid until the next call of keep() or clear().
  const Known& find(const std::string& name, TimePoint now) noexcept;
  // Errors: throws std::bad_alloc, and the cache is as before.
  void keep(const std::string& name, Type type, std::shared_ptr<Found> found);
  void clear() noexcept;
  std::size_t size() const noexcept { return names_.size(); }

 private:
  struct Name {
    std::string name;
    Known known;
  };
  using Names = std::list<Name>;

  std::size_t most_;
  Names names_;  // the one that was used last is the first
  std::unordered_map<std::string_view, Names::iterator> by_name_;
};

}  // namespace event_cpp::dns::detail

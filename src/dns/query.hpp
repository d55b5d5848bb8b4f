// A query that several lookups may wait for.
#pragma once

#include <exception>
#include <memory>

#include "dns/lookups.hpp"
#include "event/co/group.hpp"
#include "event/co/sync.hpp"

namespace event_cpp::dns::detail {

// Runs until it is done, or until nobody waits for it any more: those who wait own it.
class Query : public std::enable_shared_from_this<Query> {
 public:
  Query(Lookups& owner, Lookups::Key key) : key_(std::move(key)), owner_(owner) {}
  ~Query() { forget(); }
  Query(const Query&) = delete;
  Query& operator=(const Query&) = delete;

  // It may be done at once. Errors: throws std::bad_alloc.
  void start() {
    task_ = std::make_unique<co::TaskGroup>(owner_.base_, "dns query");
    task_->spawn(owner_.run(*this));
  }

  const std::string& name() const noexcept { return key_.first; }
  Type type() const noexcept { return key_.second; }

  bool is_done() const noexcept { return done_; }
  // One of them, once it is done.
  const std::shared_ptr<Found>& found() const noexcept { return found_; }
  const std::exception_ptr& failure() const noexcept { return failure_; }

  // Awaited: until it is done. `self` keeps it.
  static co::Task<> wait(std::shared_ptr<Query> self) {
    while (!self->done_) co_await self->changed_.wait();
  }

  // Those who wait go on in the next iteration. A later lookup makes a new query.
  void end(std::shared_ptr<Found> found, std::exception_ptr failure) noexcept {
    found_ = std::move(found);
    failure_ = std::move(failure);
    done_ = true;
    forget();
    changed_.notify_all();
  }
  // Not by its own task.
  void stop() noexcept { task_.reset(); }

 private:
  void forget() noexcept {
    const auto known = owner_.running_.find(key_);
    if (known != owner_.running_.end() && known->second == this) owner_.running_.erase(known);
  }

  const Lookups::Key key_;
  Lookups& owner_;
  bool done_ = false;
  std::shared_ptr<Found> found_;
  std::exception_ptr failure_;
  co::Notification changed_;
  std::unique_ptr<co::TaskGroup> task_;
};

}  // namespace event_cpp::dns::detail

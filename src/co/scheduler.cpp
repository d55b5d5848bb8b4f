#include <new>
#include <system_error>

#include "co/away.hpp"
#include "co/blocking_pool.hpp"
#include "event/co/detail/wait_list.hpp"
#include "event/co/group.hpp"
#include "event/co/wait.hpp"

namespace event_cpp::co::detail {

using event_cpp::detail::Floor;

// Never destroyed: a thread may throw it until the end.
const std::exception_ptr& cancellation() {
  static const auto& error = *new const std::exception_ptr(std::make_exception_ptr(
      std::system_error(std::make_error_code(std::errc::operation_canceled), "event::co")));
  return error;
}

bool is_cancellation(const std::exception_ptr& error) noexcept {
  if (error == cancellation()) return true;
  try {
    std::rethrow_exception(error);
  } catch (const std::system_error& e) {
    return e.code() == std::errc::operation_canceled;
  } catch (...) {
    return false;
  }
}

void throw_no_task() {
  throw std::system_error(std::make_error_code(std::errc::invalid_argument),
                          "event::co: the awaited task was moved from");
}

void throw_broken_pipe() {
  throw std::system_error(std::make_error_code(std::errc::broken_pipe), "event::co::Channel::send");
}

void Waiter::ready() {}

std::exception_ptr Owner::report(Chain& /*chain*/) noexcept { return nullptr; }

Scheduler& Scheduler::make(Base& base) {
  return event_cpp::detail::floors_of(base).set(Floor::co, std::make_unique<Scheduler>(base));
}

Scheduler::Scheduler(Base& base)
    : base_(base), order_(event_cpp::detail::order_of(base)), kick_(base, *this) {
  cancellation();  // now, so that no wait finds that there is no memory for it
}

// Tasks first: their destructors may use all the rest.
Scheduler::~Scheduler() {
  if (guests_ > 0) terminate_away();
  for (Link* link = groups_.next(); link != &groups_; link = link->next()) {
    static_cast<TaskGroup::InList*>(link)->group.closing_ = true;
  }
  while (groups_.linked()) static_cast<TaskGroup::InList*>(groups_.next())->group.abandon();
  drop_pool();
  while (ready_.linked()) {
    auto& chain = *static_cast<Chain*>(ready_.next());
    chain.unlink();
    if (chain.turn == Turn::report) static_cast<void>(chain.owner->report(chain));
  }
}

void Scheduler::Kick::run(Event& event, Events /*fired*/) {
  auto& self = static_cast<Kick&>(event);
  (*std::launder(reinterpret_cast<Scheduler**>(self.room())))->drain();
}

// Runs what is ready now; what becomes ready meanwhile has its turn in the next iteration. If an
// exception leaves, the rest does as well.
void Scheduler::drain() {
  struct PutBack {
    Scheduler& scheduler;
    ~PutBack() {
      if (!scheduler.running_.linked()) return;
      if (!scheduler.ready_.linked()) scheduler.kick_.wake();
      scheduler.ready_.take_all(scheduler.running_);
    }
  };
  running_.take_all(ready_);
  const PutBack at_the_end{*this};
  while (running_.linked()) {
    Chain& chain = order_ == nullptr ? static_cast<Chain&>(*running_.next()) : pick_ready();
    chain.unlink();
    switch (chain.turn) {
      case Turn::resume:
        resume(chain);
        break;
      case Turn::report:
        if (const std::exception_ptr error = chain.owner->report(chain)) {
          std::rethrow_exception(error);
        }
        break;
      case Turn::depart:
        Away::depart(chain);
        break;
    }
  }
}

Chain& Scheduler::pick_ready() {
  std::uint32_t count = 0;
  for (const Link* link = running_.next(); link != &running_; link = link->next()) ++count;
  Link* picked = running_.next();
  if (count > 1) {
    for (std::uint32_t i = order_->pick(count) % count; i > 0; --i) picked = picked->next();
  }
  return static_cast<Chain&>(*picked);
}

void Scheduler::hold() {
  if (keeper_ == nullptr) {
    keeper_ = std::make_unique<Event>(base_, -1, Events::timeout, [] {});
  }
  if (holds_ == 0) keeper_->attach(Duration::max());
  ++holds_;
}

void Scheduler::let_go() noexcept {
  if (--holds_ == 0) keeper_->detach();
}

namespace {

// Owns what is left of tasks that failed and whose group is gone: their exceptions.
class Orphanage final : public Owner {
 public:
  static Orphanage& instance() noexcept {
    static Orphanage orphanage;
    return orphanage;
  }

 private:
  void* ended(Chain& /*chain*/) noexcept override { return nullptr; }
  std::exception_ptr report(Chain& chain) noexcept override {
    const std::unique_ptr<Child> child(&Child::of(chain));
    return child->chain.error;
  }
};

}  // namespace

void Scheduler::adopt(Chain& chain) noexcept { chain.owner = &Orphanage::instance(); }

}  // namespace event_cpp::co::detail

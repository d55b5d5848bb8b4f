#include "co/blocking_pool.hpp"

#include <utility>

#include "co/signals_blocked.hpp"
#include "co/with_memory.hpp"
#include "sys/fork_count.hpp"

namespace event_cpp::co::detail {

BlockingPool::BlockingPool(Base& base) noexcept
    : base_(base), forks_(event_cpp::detail::exported_fork_count()) {}

bool BlockingPool::is_ours() const noexcept {
  return forks_ == event_cpp::detail::exported_fork_count();
}

BlockingPool::~BlockingPool() {
  std::list<std::shared_ptr<Job>> dropped;
  {
    const std::lock_guard lock(mutex_);
    ends_ = true;
    dropped.swap(jobs_);
  }
  changed_.notify_all();
  dropped.clear();
  for (std::thread& thread : threads_) thread.join();
}

void BlockingPool::add(std::shared_ptr<Job> job) {
  std::unique_lock lock(mutex_);
  jobs_.push_back(std::move(job));
  if (idle_ >= jobs_.size() || threads_.size() == kMostThreads) {
    lock.unlock();
    changed_.notify_one();
    return;
  }
  try {
    start_thread();
  } catch (...) {
    if (threads_.empty()) {
      jobs_.pop_back();
      throw;
    }
  }
}

void BlockingPool::start_thread() {
  threads_.reserve(threads_.size() + 1);
  const SignalsBlocked blocked;
  threads_.emplace_back([this] { serve(); });
}

void BlockingPool::serve() noexcept {
  for (;;) {
    std::list<std::shared_ptr<Job>> job;
    {
      std::unique_lock lock(mutex_);
      ++idle_;
      changed_.wait(lock, [this] { return ends_ || !jobs_.empty(); });
      --idle_;
      if (ends_) return;
      job.splice(job.begin(), jobs_, jobs_.begin());
    }
    if (!job.front()->is_cancelled) job.front()->run();
    {
      const std::lock_guard lock(mutex_);
      done_.splice(done_.end(), job);
    }
    post_surely(base_, [this] { tell_one(); });
  }
}

// In the base's thread, so that what the function captured and returned is destroyed there.
void BlockingPool::tell_one() {
  std::list<std::shared_ptr<Job>> done;
  {
    const std::lock_guard lock(mutex_);
    done.splice(done.begin(), done_, done_.begin());
  }
  Job& job = *done.front();
  job.scheduler->let_go();
  if (job.wait != nullptr) job.wait->job_ended();
}

// Of a parent process: its threads are not here, and its mutex may be locked for good.
void Scheduler::drop_pool() noexcept {
  if (pool_ != nullptr && !pool_->is_ours()) static_cast<void>(pool_.release());
  pool_.reset();
}

BlockingPool& Scheduler::pool() {
  if (pool_ != nullptr && pool_->is_ours()) return *pool_;
  auto made = std::make_unique<BlockingPool>(base_);
  drop_pool();
  pool_ = std::move(made);
  return *pool_;
}

BlockingWait::~BlockingWait() {
  if (job_ != nullptr) BlockingWait::withdraw();
}

void BlockingWait::withdraw() noexcept {
  job_->wait = nullptr;
  job_->is_cancelled = true;
}

bool BlockingWait::begin_job(Chain& chain, void* frame, std::shared_ptr<Job> job) {
  if (chain.cancelled) {
    begin_cancelled(chain, frame);
    return true;
  }
  job_ = std::move(job);
  Scheduler& scheduler = *chain.scheduler;
  if (scheduler.base().backend() == Backend::none) {
    job_->run();
    if (chain.spend()) return false;
    begin_done(chain, frame);
    return true;
  }
  scheduler.hold();
  job_->scheduler = &scheduler;
  job_->wait = this;
  try {
    scheduler.pool().add(job_);
  } catch (...) {
    job_->wait = nullptr;
    scheduler.let_go();
    throw;
  }
  begin(chain, frame);
  return true;
}

}  // namespace event_cpp::co::detail

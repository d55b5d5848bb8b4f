#include "event/net/serve.hpp"

#include <algorithm>
#include <condition_variable>
#include <exception>
#include <mutex>
#include <new>
#include <optional>
#include <system_error>
#include <thread>
#include <utility>

#include "co/signals_blocked.hpp"
#include "co/with_memory.hpp"
#include "event/co/timeout.hpp"
#include "event/co/wait.hpp"
#include "event/co/when.hpp"
#include "sys/fork_count.hpp"

namespace event_cpp::net {
namespace {

using OnError = std::function<void(std::exception_ptr)>;

co::Task<> fail_with(std::exception_ptr error) {
  std::rethrow_exception(std::move(error));
  co_return;
}

// As if a task of the group had thrown it, so that what on_error throws leaves dispatch(). Without
// memory for a task on_error is called here, and ends the server if it throws.
void report(co::TaskGroup& connections, const std::exception_ptr& error, const OnError& on_error) {
  try {
    connections.spawn(fail_with(error));
  } catch (const std::bad_alloc&) {
    on_error(error);
  }
}

co::Task<> accept_all(Listener& listener, Handler& handler, std::size_t most,
                      co::TaskGroup& connections, const OnError& on_error) {
  for (;;) {
    co_await connections.room(most);
    Socket connection = co_await listener.accept();
    try {
      connections.spawn(handler(listener.base(), std::move(connection)));
    } catch (...) {
      // There is no task, for want of memory, or as the handler is no coroutine and has thrown. The
      // connection is closed, and the server goes on.
      report(connections, std::current_exception(), on_error);
    }
  }
}

// Until the listener is closed: accept_all() does not notice that while it waits for room.
co::Task<> accept_until_closed(Listener& listener, Handler& handler, std::size_t most,
                               co::TaskGroup& connections, const OnError& on_error) {
  auto accepting = accept_all(listener, handler, most, connections, on_error);
  auto closed = listener.closed();
  co_await co::when_any(std::move(accepting), std::move(closed));
  co::detail::throw_cancelled();
}

// Cancels what does not end by itself.
co::Task<> wind_up(co::TaskGroup& connections, Duration grace) {
  co_await co::try_with_timeout(grace, connections.join());
  connections.cancel();
  co_await connections.join();
}

}  // namespace

co::Task<> detail::serve_connections(Listener& listener, Handler handler, ServeOptions options) {
  Base& base = listener.base();
  const std::size_t most = options.most > 0 ? options.most : listener.options().most;
  OnError on_error = std::move(options.on_error);
  if (on_error == nullptr) on_error = [](const std::exception_ptr&) {};
  co::TaskGroup connections(base, on_error, "serve");
  std::exception_ptr end;
  try {
    co_await accept_until_closed(listener, handler, most, connections, on_error);
  } catch (...) {
    end = std::current_exception();
  }
  try {
    if (options.on_stop != nullptr) options.on_stop();
  } catch (...) {
    report(connections, std::current_exception(), on_error);
  }
  co_await co::shield(wind_up(connections, options.grace));
  std::rethrow_exception(end);
}

struct Workers::Worker {
  // Runs in the thread. Uses what it refers to only until it listens, or has ended.
  void run(const Address& where, const Handler& handler, const Options& options) noexcept;
  // Waits until it listens. Errors: throws why it does not.
  Address await_listening();
  void cancel() noexcept;

  std::thread thread;
  std::mutex mutex;
  // Guarded by mutex, as are the following. No std::promise, which ends the program if there is no
  // memory when a thread cannot be started.
  std::condition_variable changed;
  std::optional<Address> address;  // once it listens
  std::exception_ptr error;        // what ended the thread early
  Base* base = nullptr;            // null when it is gone
  Listener* listener = nullptr;    // for the thread alone, as is the group
  co::TaskGroup* group = nullptr;
};

void Workers::Worker::run(const Address& where, const Handler& handler,
                          const Options& options) noexcept {
  try {
    Base own(options.base);
    ListenOptions listen = options.listen;
    listen.reuse_port = true;
    Listener own_listener(own, where, listen);
    if (options.serve.on_error != nullptr) {
      own_listener.on_error([on_error = options.serve.on_error](std::error_code its_error) {
        on_error(
            std::make_exception_ptr(std::system_error(its_error, "event::net::Listener::accept")));
      });
    }
    co::TaskGroup server(own, "worker");
    listener = &own_listener;
    group = &server;
    server.spawn(serve(own_listener, handler, options.serve));
    struct Reachable {
      Worker& worker;
      Reachable(Worker& its_worker, Base& own_base) : worker(its_worker) {
        const std::lock_guard lock(worker.mutex);
        worker.base = &own_base;
      }
      ~Reachable() {
        const std::lock_guard lock(worker.mutex);
        worker.base = nullptr;
      }
    } const reachable(*this, own);
    const Address own_address = own_listener.address();
    {
      const std::lock_guard lock(mutex);
      address = own_address;
      changed.notify_all();
    }
    own.dispatch();
  } catch (...) {
    const std::lock_guard lock(mutex);
    error = std::current_exception();
    changed.notify_all();
  }
}

Address Workers::Worker::await_listening() {
  std::unique_lock lock(mutex);
  changed.wait(lock, [this] { return address || error != nullptr; });
  if (!address) std::rethrow_exception(error);
  return *address;
}

void Workers::Worker::cancel() noexcept {
  const std::lock_guard lock(mutex);
  if (base == nullptr) return;
  // Whoever connects during the grace period is refused, and not left in the queue.
  co::detail::post_surely(*base, [this] {
    group->cancel();
    listener->close();
  });
}

Workers::Workers(std::size_t threads, const Address& address, Handler handler, Options options)
    : address_(address), forks_(event_cpp::detail::exported_fork_count()) {
  try {
    for (std::size_t i = 0; i < std::max<std::size_t>(threads, 1); ++i) {
      workers_.push_back(std::make_unique<Worker>());
      Worker& worker = *workers_.back();
      {
        const co::detail::SignalsBlocked blocked;
        worker.thread = std::thread([&] { worker.run(address_, handler, options); });
      }
      address_ = worker.await_listening();  // the others use the port that the first one got
    }
  } catch (...) {
    end();
    throw;
  }
}

Workers::~Workers() { end(); }

void Workers::end() noexcept {
  // Of a parent process: its threads are not here, and their mutexes may be locked for good.
  if (forks_ != event_cpp::detail::exported_fork_count()) {
    for (auto& worker : workers_) static_cast<void>(worker.release());
    workers_.clear();
  }
  for (const auto& worker : workers_) {
    worker->cancel();
  }
  for (const auto& worker : workers_) {
    if (worker->thread.joinable()) worker->thread.join();
  }
}

void Workers::stop() {
  end();
  for (const auto& worker : workers_) {
    if (worker->error != nullptr) std::rethrow_exception(std::exchange(worker->error, nullptr));
  }
}

}  // namespace event_cpp::net

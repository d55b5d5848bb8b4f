#include "net_act.hpp"

#include <chrono>
#include <optional>
#include <thread>

#include "event/timer.hpp"
#include "net_parts.hpp"

namespace event_cpp::faults {
namespace {

using namespace std::chrono_literals;

// Far more than a run that works comes near, far less than one that spins for a while.
constexpr std::uint64_t kMostWaits = 2000;

class NetAct {
 public:
  NetAct(Journal& journal, Backend backend) : journal_(journal) {
    Options options;
    options.backend = backend;
    attempt(journal_, "Base", [&] { base_.emplace(options); });
    attempt(journal_, "Timer", [this] {
      bound_.emplace(*base_, [this] {
        journal_.miss("an end in time");
        base_->stop_now();
      });
    });
    attempt(journal_, "attach the bound", [this] { bound_->attach(kBound); });
    attempt(journal_, "TaskGroup", [this] { parts_.emplace(*base_, "parts"); });
  }

  void run() {
    World world{journal_, *base_};
    left_ = net_parts().size();
    for (const Part& part : net_parts()) {
      attempt(journal_, "spawn", [&] { parts_->spawn(run_part(world, part)); });
    }
    attempt(journal_, "dispatch", [this] { base_->dispatch(); });
    journal_.expect(left_ == 0, "a part to end");
    journal_.expect(base_->size() == 0, "nothing to be left attached");
    journal_.expect(base_->stats().waits < kMostWaits, "a loop that sleeps");
    // The end, while something waits. What it throws before leaves the loop.
    attempt(journal_, "the end", [this] {
      parts_->spawn(wait_for_ever(journal_));
      for (int i = 0; i < 3; ++i) base_->loop(RunMode::nonblock);
    });
    base_.reset();
  }

 private:
  co::Task<> run_part(World& world, const Part& part) {
    for (int tries = 0;; ++tries) {
      std::exception_ptr error;
      try {
        co_await part.run(world);
        break;
      } catch (const Cut& cut) {
        journal_.miss(cut.what);
        break;
      } catch (...) {
        error = std::current_exception();
      }
      report(journal_, part.name, error);
      if (tries == 1) throw GivenUp{part.name};
    }
    if (--left_ == 0) bound_->detach();
  }

  // A server without clients, and a connection on which an answer never comes.
  static co::Task<> wait_for_ever(Journal& journal) {
    Base& base = co_await co::base();
    net::Listener listener(base, net::Address::loopback(0));
    std::pair<net::Socket, net::Socket> sockets = net::Socket::pair();
    net::SocketStream ours(base, std::move(sockets.first));
    const net::SocketStream theirs(base, std::move(sockets.second));
    ours.idle_timeout(1h);
    net::Buffered io(ours);
    io.put("question\n");
    listener.on_accept([](net::Socket) {});
    co_await io.read_line();
    journal.miss("what waits to be dropped");
  }

  Journal& journal_;
  std::size_t left_ = 0;
  std::optional<Base> base_;
  std::optional<Timer> bound_;
  std::optional<co::TaskGroup> parts_;
};

}  // namespace

void run_net_act(Journal& journal, Backend backend) {
  std::optional<GivenUp> given_up;
  const auto act = [&]() noexcept {
    try {
      NetAct(journal, backend).run();
    } catch (const GivenUp& error) {
      given_up = error;
    }
  };
  std::optional<Exempt> exempt(std::in_place);
  std::thread thread(act);
  thread.join();
  exempt.reset();
  if (given_up) throw GivenUp(*given_up);
}

}  // namespace event_cpp::faults

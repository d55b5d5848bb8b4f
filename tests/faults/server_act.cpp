#include "server_act.hpp"

#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstring>
#include <string>

namespace event_cpp::faults {
namespace {

using namespace std::chrono_literals;

constexpr int kStatus = 7;           // of the child
constexpr std::size_t kSize = 3000;  // of what a client says

// Far more than a run that works comes near, far less than one that spins for a millisecond.
constexpr std::uint64_t kMostServerWaits = 500;

// Too large to be stored in an event or a task.
struct Ballast {
  std::array<void*, 4> weight{};
};

int check_call(int result, const char* what) {
  if (result < 0) throw std::system_error(errno, std::system_category(), what);
  return result;
}

sockaddr_in address_of(const Fd& listener) {
  sockaddr_in address{};
  socklen_t size = sizeof address;
  check_call(::getsockname(listener.get(), reinterpret_cast<sockaddr*>(&address), &size),
             "getsockname");
  return address;
}

Fd make_listener() {
  Fd fd(check_call(::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0), "socket"));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  check_call(::bind(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address), "bind");
  check_call(::listen(fd.get(), SOMAXCONN), "listen");
  return fd;
}

// A client that has said all, and waits to be accepted.
Fd make_client(const Fd& listener) {
  Fd fd(check_call(::socket(AF_INET, SOCK_STREAM, 0), "socket"));
  const sockaddr_in address = address_of(listener);
  check_call(::connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address),
             "connect");
  const std::string said(kSize, 'x');
  check_call(static_cast<int>(::send(fd.get(), said.data(), said.size(), 0)), "send");
  test::end_writing(fd);
  return fd;
}

void block(int signo) noexcept {
  sigset_t set;
  ::sigemptyset(&set);
  ::sigaddset(&set, signo);
  ::pthread_sigmask(SIG_BLOCK, &set, nullptr);
}

bool is_default(int signo) noexcept {
  struct sigaction current {};
  return ::sigaction(signo, nullptr, &current) == 0 && current.sa_handler == SIG_DFL;
}

}  // namespace

// Echoes what comes, in two steps: it reads, and then waits until it can write.
class ServerAct::Connection {
 public:
  Connection(ServerAct& act, Fd fd)
      : act_(act),
        fd_(std::move(fd)),
        readable_(*act.base_, fd_.get(), Events::read | Events::persist, [this] { receive(); }),
        writable_(*act.base_, fd_.get(), Events::write | Events::persist, [this] { send(); }) {}

  void start() { readable_.attach(10s); }

 private:
  void receive() {
    const ssize_t n = ::recv(fd_.get(), buffer_.data(), buffer_.size(), 0);
    if (n < 0) return;
    if (n == 0) {
      readable_.detach();
      fd_.close();
      return act_.count(ended);
    }
    size_ = static_cast<std::size_t>(n);
    readable_.detach();
    act_.attempt("attach to write", [this] { writable_.attach(10s); });
  }

  void send() {
    const ssize_t n = ::send(fd_.get(), buffer_.data(), size_, MSG_NOSIGNAL);
    act_.journal_.expect(n == static_cast<ssize_t>(size_), "an answer that is sent");
    writable_.detach();
    act_.attempt("attach to read", [this] { readable_.attach(10s); });
  }

  ServerAct& act_;
  Fd fd_;
  Event readable_, writable_;
  std::array<char, 1000> buffer_{};
  std::size_t size_ = 0;
};

ServerAct::ServerAct(Journal& journal, Backend backend)
    : journal_(journal), backend_(backend), listener_(make_listener()) {
  for (Fd& client : clients_) client = make_client(listener_);
  block(SIGUSR2);
  start_child();
  poster_ = std::thread([this] {
    posting_.wait(Posting::not_yet);
    if (posting_ == Posting::now) post_from_thread();
  });
}

ServerAct::~ServerAct() {
  const Exempt exempt;
  if (posting_ == Posting::not_yet) posting_ = Posting::never;
  posting_.notify_all();
  if (poster_.joinable()) poster_.join();
  gate_.writer.close();
  while (::waitpid(process_, nullptr, 0) < 0 && errno == EINTR) {
  }
}

// It ends when the gate is written to, or this process is gone.
void ServerAct::start_child() {
  process_ = check_call(::fork(), "fork");
  if (process_ != 0) return;
  gate_.writer.close();
  ::alarm(60);
  pollfd gate{gate_.reader.get(), POLLIN, 0};
  while (::poll(&gate, 1, -1) < 0) {
  }
  ::_exit(kStatus);
}

void ServerAct::run() {
  make_base();
  attach_descriptors();
  attach_times();
  attach_signals();
  post_some();
  posting_ = Posting::now;
  posting_.notify_all();
  attempt("dispatch", [this] { base_->dispatch(); });
  check();
  // The end, with something of each kind attached.
  attempt("attach at the end", [this] { ticker_->attach(1h); });
  attempt("attach at the end", [this] { reading_->attach(); });
  attempt("attach at the end", [this] { signal_->attach(); });
  attempt("after at the end", [this] { base_->after(1h, [this] { count(last); }); });
  attempt("post at the end", [this] { base_->post([this, b = Ballast()] { count(last); }); });
  timers_[0].reset();
  {
    const Exempt exempt;
    poster_.join();  // it uses the base
  }
  base_.reset();
  const Exempt exempt;
  journal_.expect(is_default(SIGUSR1) && is_default(SIGUSR2) && is_default(SIGCHLD),
                  "a signal's former disposition");
}

void ServerAct::count(What what) noexcept {
  if (what == last) return journal_.miss("what is dropped to be dropped");
  ++counts_[what];
  if (is_complete()) bound_->detach();
}

bool ServerAct::is_complete() const noexcept {
  static constexpr std::array<int, last> kExpected{
      kClients, kClients, 2, 1, 1, 2, kTimers, 1, 1, 1, 1, 1, kPosts + 3, 1, 2};
  return counts_ == kExpected;
}

void ServerAct::make_base() {
  Options options;
  options.backend = backend_;
  options.slice = 4;
  attempt("Base", [&] { base_.emplace(options); });
  attempt("Timer", [this] {
    bound_.emplace(*base_, [this] {
      hung_ = true;
      base_->stop_now();
    });
  });
  attempt("attach the bound", [this] { bound_->attach(kBound); });
  attempt("Hook", [this] {
    before_wait_.emplace(*base_, Hook::When::before_wait,
                         [this, b = Ballast()] { hooks_ran_[0] += b.weight[0] == nullptr; });
  });
  attempt("Hook", [this] {
    after_wait_.emplace(*base_, Hook::When::after_wait, [this] { ++hooks_ran_[1]; });
  });
}

void ServerAct::attach_descriptors() {
  listening_.emplace(*base_, listener_.get(), Events::read | Events::persist,
                     [this] { accept_one(); });
  attempt("attach the listener", [this] { listening_->attach(); });
  reading_.emplace(*base_, changing_.ours.get(), Events::read | Events::persist, [this] {
    std::array<char, 8> bytes{};
    journal_.expect(::recv(changing_.ours.get(), bytes.data(), bytes.size(), 0) == 1, "a byte");
    count(changing);
    attempt("attach to write, too", [this] { writing_->attach(); });
  });
  attempt("attach", [this] { reading_->attach(); });
  writing_.emplace(*base_, changing_.ours.get(), Events::write, [this] {
    reading_->detach();
    count(changing);
  });
  attempt("attach to what is not there yet", [this] { writing_->attach(); });
  writing_->detach();
  on_file_.emplace(*base_, file_.get(), Events::read, [this] { count(file); });
  attempt("attach to a file", [this] { on_file_->attach(); });
  idle_.emplace(*base_, silent_.reader.get(), Events::read | Events::persist, [this] {
    if (counts_[idle] == 1) idle_->detach();
    count(idle);
  });
  attempt("attach with a timeout", [this] { idle_->attach(4ms); });
  attempt("once", [this] {
    base_->once(ready_.reader.get(), Events::read, 10s, [this, b = Ballast()] { count(once); });
  });
}

void ServerAct::accept_one() {
  Fd fd(::accept4(listener_.get(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
  if (!fd.open()) return;
  auto& place = connections_[static_cast<std::size_t>(counts_[accepted])];
  // Without memory for it, nothing is moved.
  attempt("a connection", [&] { place = std::make_unique<Connection>(*this, std::move(fd)); });
  attempt("attach a connection", [&] { place->start(); });
  count(accepted);
  if (counts_[accepted] == static_cast<int>(kClients)) listening_->detach();
}

void ServerAct::attach_times() {
  timer_.emplace(*base_, [this] {
    cause_things();
    count(timer);
    if (counts_[timer] == 1) attempt("attach a timer again", [this] { timer_->attach(1ms); });
  });
  attempt("attach a timer", [this] { timer_->attach(3ms); });
  for (std::size_t i = 0; i < kTimers; ++i) {
    timers_[i].emplace(*base_, [this] { count(timers); });
    attempt("attach many timers",
            [this, i] { timers_[i]->attach(static_cast<Duration::rep>(i % 3) * 1ms); });
  }
  attempt("rearm", [this] { timers_[0]->rearm(6ms); });
  attempt("rearm", [this] { timers_[0]->rearm(2ms); });
  ticker_.emplace(*base_, [this, periods = std::uint64_t{0}]() mutable {
    periods += 1 + ticker_->missed();
    if (periods < 3) return;
    ticker_->detach();
    count(ticker);
  });
  attempt("attach a ticker", [this] { ticker_->attach(1ms, 2ms); });
  attempt("after", [this] { base_->after(2ms, [this] { count(after); }); });
  alarm_.emplace(*base_, [this] { count(alarm); });
  attempt("attach an alarm", [this] { alarm_->attach(std::chrono::system_clock::now() + 2ms); });
}

void ServerAct::attach_signals() {
  signal_.emplace(*base_, SIGUSR1, [this] {
    signal_->detach();
    count(signal);
  });
  attempt("attach a signal", [this] { signal_->attach(); });
  blocked_signal_.emplace(*base_, SIGUSR2, [this] {
    blocked_signal_->detach();
    count(blocked_signal);
  });
  attempt("attach a blocked signal", [this] { blocked_signal_->attach(); });
  child_.emplace(*base_, process_, [this](int status) {
    journal_.expect(WIFEXITED(status) && WEXITSTATUS(status) == kStatus, "a child's status");
    count(child);
  });
  attempt("attach a child", [this] { child_->attach(); });
}

// The first time: everything that is waited for beside connections and times.
void ServerAct::cause_things() {
  const Exempt exempt;
  if (counts_[timer] > 0) return;
  ::raise(SIGUSR1);
  ::raise(SIGUSR2);
  test::write_bytes(gate_.writer);
  test::write_bytes(changing_.theirs);
}

void ServerAct::post_some() {
  attempt("post", [this] {
    base_->post([this] {
      count(posted);
      attempt("post in a callback",
              [this] { base_->post([this] { count(posted); }, Priority::high); });
      attempt("post a large function",
              [this] { base_->post([this, b = Ballast()] { count(posted); }, Priority::low); });
    });
  });
}

void ServerAct::post_from_thread() noexcept {
  try {
    for (int i = 0; i < kPosts; ++i) {
      attempt("post from a thread", [this] { base_->post([this] { count(posted); }); });
    }
  } catch (const GivenUp& given_up) {
    journal_.miss(given_up.step);
  }
}

void ServerAct::check() {
  const Exempt exempt;
  journal_.expect(!hung_, "an end in time");
  journal_.expect(is_complete(), "an event");
  journal_.expect(base_->size() == 0, "nothing to be left attached");
  journal_.expect(hooks_ran_[0] > 0 && hooks_ran_[1] > 0, "a hook");
  journal_.expect(base_->stats().waits < kMostServerWaits, "a loop that sleeps");
  for (const Fd& client : clients_) check_answer(client);
}

void ServerAct::check_answer(const Fd& client) {
  std::array<char, kSize + 1> answer{};
  std::size_t size = 0;
  ssize_t n = 0;
  do {
    n = ::recv(client.get(), answer.data() + size, answer.size() - size, MSG_DONTWAIT);
    if (n > 0) size += static_cast<std::size_t>(n);
  } while (n > 0);
  journal_.expect(n == 0 && size == kSize, "an answer");
}

}  // namespace event_cpp::faults

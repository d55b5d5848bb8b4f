// A small model of kqueue(2), written from its manual page in FreeBSD. Each queue is an epoll set
// in front, which is its descriptor; behind it is a set for each filter, which tells when something
// happens to a knote's descriptor. Whether the knote is ready is then found out by looking.
//
// Where it differs: a signal that a handler has run for is not counted, for nobody is told of it
// here; NOTE_EXIT is all that is told of processes; the time between two looks is not seen.
//
// It allocates with malloc() only, as tests count and fail operator new, and calls what no test
// puts itself before.
#include <fcntl.h>
#include <pthread.h>
#include <sys/epoll.h>
#include <sys/event.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/poll.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <compare>
#include <csignal>
#include <cstdarg>
#include <cstdlib>
#include <iterator>
#include <map>
#include <mutex>
#include <new>
#include <utility>

namespace {

template <class T>
struct Malloc {
  using value_type = T;
  Malloc() = default;
  template <class U>
  explicit Malloc(const Malloc<U>&) {}
  T* allocate(std::size_t count) {
    void* const memory = std::malloc(count * sizeof(T));
    if (memory == nullptr) std::abort();
    return static_cast<T*>(memory);
  }
  void deallocate(T* memory, std::size_t) { std::free(memory); }
  bool operator==(const Malloc&) const = default;
};

struct Key {
  std::uintptr_t ident;
  short filter;
  auto operator<=>(const Key&) const = default;
};

// What is to be seen of a descriptor.
struct Look {
  bool ready = false;
  bool eof = false;
  std::int64_t data = 0;
  unsigned fflags = 0;
};

struct Knote {
  unsigned short flags = 0;  // those that stay: CLEAR, ONESHOT, DISPATCH
  unsigned fflags = 0;       // as asked for
  std::int64_t data = 0;     // as asked for
  void* udata = nullptr;
  bool enabled = true;
  bool active = false;
  bool queued = false;
  int source = -1;  // of its own: of a signal, a process, a timer
  Look seen;        // of what is not a descriptor
  const Key* key = nullptr;
  Knote* next = nullptr;  // in the list of active ones
};

// Active knotes in order. Linked by themselves: a signal handler that triggers one must not
// allocate.
class ActiveList {
 public:
  bool empty() const { return first_ == nullptr; }
  std::size_t size() const { return size_; }
  void push(Knote& knote) {
    knote.queued = true;
    knote.next = nullptr;
    (first_ == nullptr ? first_ : last_->next) = &knote;
    last_ = &knote;
    ++size_;
  }
  Knote& pop() {
    Knote& knote = *first_;
    first_ = knote.next;
    knote.queued = false;
    --size_;
    return knote;
  }
  void remove(Knote& knote) {
    for (std::size_t left = size_; left > 0; --left) {
      if (Knote& each = pop(); &each != &knote) push(each);
    }
  }

 private:
  Knote* first_ = nullptr;
  Knote* last_ = nullptr;
  std::size_t size_ = 0;
};

using Knotes = std::map<Key, Knote, std::less<>, Malloc<std::pair<const Key, Knote>>>;

constexpr bool is_of_descriptor(short filter) {
  return filter == EVFILT_READ || filter == EVFILT_WRITE || filter == EVFILT_EXCEPT;
}

void close_now(int fd) {
  if (fd >= 0) ::syscall(SYS_close, fd);
}

bool is_open(int fd) { return ::syscall(SYS_fcntl, fd, F_GETFD) >= 0; }

int option_of(int fd, int option) {
  int value = 0;
  socklen_t size = sizeof value;
  return ::getsockopt(fd, SOL_SOCKET, option, &value, &size) == 0 ? value : 0;
}

mode_t mode_of(int fd) {
  struct stat status {};
  return ::fstatat(fd, "", &status, AT_EMPTY_PATH) == 0 ? status.st_mode : 0;
}

short polled(int fd) {
  pollfd asked{fd, POLLIN | POLLOUT | POLLPRI | POLLRDHUP, 0};
  const timespec now{};
  return ::ppoll(&asked, 1, &now, nullptr) == 1 ? asked.revents : short{0};
}

std::int64_t bytes_in(int fd) {
  int bytes = 0;
  return ::ioctl(fd, FIONREAD, &bytes) == 0 ? bytes : 0;
}

// With an end there is the error of the socket: which one cannot be asked for without clearing it.
constexpr unsigned kSomeError = ECONNRESET;

Look look_at_socket(int fd, const Key& key, const Knote& knote, short bits) {
  const bool stream = option_of(fd, SO_TYPE) == SOCK_STREAM && option_of(fd, SO_ACCEPTCONN) == 0;
  const bool error = (bits & POLLERR) != 0;
  const bool ended = (bits & POLLRDHUP) != 0;
  Look look;
  if (key.filter == EVFILT_WRITE) {
    const bool hung_up = (bits & POLLHUP) != 0;
    const bool unconnected = stream && hung_up && !ended;
    look.eof = stream && (error || (hung_up && ended));
    look.data = 1;
    look.ready = look.eof || error || ((bits & POLLOUT) != 0 && !unconnected);
    look.fflags = look.eof && error ? kSomeError : 0;
    return look;
  }
  look.eof = stream && (error || ended);
  look.fflags = look.eof && error ? kSomeError : 0;
  look.data = bytes_in(fd);
  const bool enough =
      (knote.fflags & NOTE_LOWAT) != 0 ? look.data >= knote.data : (bits & POLLIN) != 0;
  look.ready = look.eof || error || enough;
  return look;
}

Look look_at_file(int fd, const Key& key) {
  Look look;
  struct stat status {};
  ::fstatat(fd, "", &status, AT_EMPTY_PATH);
  look.data = key.filter == EVFILT_READ ? status.st_size - ::lseek(fd, 0, SEEK_CUR) : 0;
  look.ready = key.filter == EVFILT_WRITE || look.data != 0;
  return look;
}

Look look_at(const Key& key, const Knote& knote) {
  const int fd = static_cast<int>(key.ident);
  const mode_t mode = mode_of(fd);
  if (S_ISREG(mode) || S_ISDIR(mode)) return look_at_file(fd, key);
  const short bits = polled(fd);
  Look look;
  if (key.filter == EVFILT_EXCEPT) {
    look.ready = (bits & POLLPRI) != 0;
    look.fflags = NOTE_OOB;
    return look;
  }
  if (S_ISSOCK(mode)) return look_at_socket(fd, key, knote, bits);
  look.eof = (bits & (POLLHUP | POLLERR)) != 0;
  look.data = key.filter == EVFILT_READ ? bytes_in(fd) : 1;
  look.ready = look.eof || (bits & (key.filter == EVFILT_READ ? POLLIN : POLLOUT)) != 0;
  return look;
}

int watch_in(int set, int fd, std::uint32_t bits, std::uint64_t data) {
  epoll_event event{};
  event.events = bits;
  event.data.u64 = data;
  if (::syscall(SYS_epoll_ctl, set, EPOLL_CTL_ADD, fd, &event) == 0) return 0;
  // Left by a file that was closed where nobody could see it, and has a duplicate.
  if (errno == EEXIST) ::syscall(SYS_epoll_ctl, set, EPOLL_CTL_MOD, fd, &event);
  return errno == EEXIST ? 0 : errno;
}

// What the model has just opened for itself: no standard stream, as a kernel would not take one.
int own(long opened) {
  const int fd = static_cast<int>(opened);
  if (fd < 0 || fd > 2) return fd;
  const long moved = ::syscall(SYS_fcntl, fd, F_DUPFD_CLOEXEC, 3);
  close_now(fd);
  return static_cast<int>(moved);
}

int make_set() { return own(::syscall(SYS_epoll_create1, EPOLL_CLOEXEC)); }

bool is_pending(int signo) {
  sigset_t pending;
  ::sigpending(&pending);
  return sigismember(&pending, signo) == 1;
}

class Queue {
 public:
  Queue() {
    front_ = static_cast<int>(::syscall(SYS_epoll_create1, 0));
    ready_ = own(::syscall(SYS_eventfd2, 0, EFD_NONBLOCK | EFD_CLOEXEC));
    for (int& set : sets_) set = make_set();
    works_ = sets_[0] >= 0 && sets_[1] >= 0 && sets_[2] >= 0 && front_ >= 0 && ready_ >= 0 &&
             watch_in(front_, ready_, EPOLLIN, 0) == 0;
  }
  ~Queue() {
    for (auto& [key, knote] : knotes_) close_now(knote.source);
    for (const int set : sets_) close_now(set);
    close_now(ready_);
  }
  Queue(const Queue&) = delete;
  Queue& operator=(const Queue&) = delete;

  int front() const { return front_; }
  // It goes on under another of its numbers.
  void be_known_as(int front) { front_ = front; }
  bool works() const { return works_; }

  // What becomes readable when something happens.
  using Sources = std::array<pollfd, 4>;
  Sources sources() const {
    Sources sources{{{front_, POLLIN, 0}, {-1, POLLIN, 0}, {-1, POLLIN, 0}, {-1, POLLIN, 0}}};
    for (std::size_t i = 0; i < sets_.size(); ++i) {
      if (is_apart_[i]) sources[i + 1].fd = sets_[i];
    }
    return sources;
  }

  // Returns 0 or an errno.
  int apply(const struct kevent& change) {
    const Key key{change.ident, change.filter};
    if (is_of_descriptor(key.filter) && !is_open(static_cast<int>(key.ident))) return EBADF;
    auto found = knotes_.find(key);
    if (found == knotes_.end()) {
      if ((change.flags & EV_ADD) == 0) return ENOENT;
      found = knotes_.emplace(key, Knote{}).first;
      found->second.key = &found->first;
      if (const int error = attach(found->first, found->second, change); error != 0) {
        drop(found);
        return error;
      }
    } else if ((change.flags & EV_DELETE) != 0) {
      drop(found);
      return 0;
    } else {
      touch(found->first, found->second, change);
    }
    if ((change.flags & EV_ENABLE) != 0) found->second.enabled = true;
    if ((change.flags & EV_DISABLE) != 0) found->second.enabled = false;
    if (found->second.enabled) consider(found->first, found->second);
    return 0;
  }

  // Takes what is active, at most `room`.
  int take(struct kevent* events, int room) {
    listen();
    int count = 0;
    for (std::size_t left = active_.size(); left > 0 && count < room; --left) {
      Knote& knote = active_.pop();
      if (knote.enabled && give(knote, events[count])) ++count;
    }
    show();
    return count;
  }

  // The number does not stand for its file any more.
  void forget(int fd) {
    const auto ident = static_cast<std::uintptr_t>(fd);
    for (const auto filter : std::to_array<short>({EVFILT_READ, EVFILT_WRITE, EVFILT_EXCEPT})) {
      if (const auto found = knotes_.find({ident, filter}); found != knotes_.end()) drop(found);
    }
  }

 private:
  static std::size_t set_of(short filter) {
    if (filter == EVFILT_READ) return 0;
    return filter == EVFILT_WRITE ? 1 : 2;
  }

  // Sources of others are known by ident and filter: filters are small and negative.
  static std::uint64_t packed(const Key& key) {
    return static_cast<std::uint64_t>(key.ident) << 8 | static_cast<std::uint8_t>(key.filter);
  }
  static Key unpacked(std::uint64_t data) {
    return {static_cast<std::uintptr_t>(data >> 8), static_cast<signed char>(data & 0xff)};
  }

  int attach(const Key& key, Knote& knote, const struct kevent& change) {
    knote.flags = change.flags & (EV_CLEAR | EV_ONESHOT | EV_DISPATCH);
    knote.fflags = change.fflags;
    knote.data = change.data;
    knote.udata = change.udata;
    switch (key.filter) {
      case EVFILT_READ:
      case EVFILT_WRITE:
      case EVFILT_EXCEPT:
        return attach_descriptor(key, knote);
      case EVFILT_USER:
        knote.seen.ready = (change.fflags & NOTE_TRIGGER) != 0;
        knote.fflags &= NOTE_FFLAGSMASK;
        return 0;
      case EVFILT_SIGNAL:
        return attach_signal(key, knote);
      case EVFILT_PROC:
        knote.source = own(::syscall(SYS_pidfd_open, key.ident, 0));
        break;
      case EVFILT_TIMER:
        knote.flags |= EV_CLEAR;
        knote.source = own(::timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC));
        if (knote.source >= 0) start_timer(knote);
        break;
      default:
        return EINVAL;
    }
    if (knote.source < 0) return errno;
    return watch_in(front_, knote.source, EPOLLIN | EPOLLET, packed(key));
  }

  int attach_descriptor(const Key& key, const Knote& knote) {
    const int fd = static_cast<int>(key.ident);
    const mode_t mode = mode_of(fd);
    if (S_ISREG(mode) || S_ISDIR(mode)) return 0;
    if (S_ISFIFO(mode) && key.filter == EVFILT_WRITE && look_at(key, knote).eof) return EPIPE;
    constexpr std::array<std::uint32_t, 3> kBits{EPOLLIN | EPOLLRDHUP, EPOLLOUT, EPOLLPRI};
    const std::size_t set = set_of(key.filter);
    if (!is_nested_[set]) {
      // When it is first needed: they may be nested a few levels deep only.
      if (const int error = watch_in(front_, sets_[set], EPOLLIN, 0); error != 0) return error;
      is_nested_[set] = true;
    }
    int error = watch_in(sets_[set], fd, kBits[set] | EPOLLET, packed(key));
    if (error == EINVAL && !is_apart_[set]) {
      // So many duplicates of one file may not be in a set that is in another one.
      ::syscall(SYS_epoll_ctl, front_, EPOLL_CTL_DEL, sets_[set], nullptr);
      is_apart_[set] = true;
      error = watch_in(sets_[set], fd, kBits[set] | EPOLLET, packed(key));
    }
    return error == EPERM ? ENODEV : error;
  }

  // What is pending already was not sent while this was here.
  int attach_signal(const Key& key, Knote& knote) {
    const int signo = static_cast<int>(key.ident);
    sigset_t signals;
    ::sigemptyset(&signals);
    if (::sigaddset(&signals, signo) != 0) return EINVAL;
    knote.flags |= EV_CLEAR;
    knote.source = own(::signalfd(-1, &signals, SFD_NONBLOCK | SFD_CLOEXEC));
    if (knote.source < 0) return errno;
    const int error = watch_in(front_, knote.source, EPOLLIN | EPOLLET, packed(key));
    listen(&knote);
    return error;
  }

  static void start_timer(Knote& knote) {
    std::int64_t unit = 1'000'000;
    if ((knote.fflags & NOTE_SECONDS) != 0) unit = 1'000'000'000;
    if ((knote.fflags & NOTE_USECONDS) != 0) unit = 1'000;
    if ((knote.fflags & NOTE_NSECONDS) != 0) unit = 1;
    const std::int64_t period = std::max<std::int64_t>(knote.data * unit, 1);
    itimerspec when{};
    when.it_value = {period / 1'000'000'000, period % 1'000'000'000};
    if ((knote.flags & EV_ONESHOT) == 0) when.it_interval = when.it_value;
    ::timerfd_settime(knote.source, 0, &when, nullptr);
  }

  // A change of one that is there. EV_CLEAR, EV_ONESHOT and EV_DISPATCH stay as they were added.
  static void touch(const Key& key, Knote& knote, const struct kevent& change) {
    knote.udata = change.udata;
    if (key.filter == EVFILT_USER) {
      const unsigned given = change.fflags & NOTE_FFLAGSMASK;
      const unsigned how = change.fflags & NOTE_FFCTRLMASK;
      if (how == NOTE_FFAND) knote.fflags &= given;
      if (how == NOTE_FFOR) knote.fflags |= given;
      if (how == NOTE_FFCOPY) knote.fflags = given;
      knote.data = change.data;
      if ((change.fflags & NOTE_TRIGGER) != 0) knote.seen.ready = true;
      return;
    }
    knote.fflags = change.fflags;
    knote.data = change.data;
    if (key.filter == EVFILT_TIMER && (change.flags & EV_ADD) != 0) start_timer(knote);
  }

  void drop(Knotes::iterator found) {
    auto& [key, knote] = *found;
    if (knote.queued) active_.remove(knote);
    if (is_of_descriptor(key.filter)) {
      ::syscall(SYS_epoll_ctl, sets_[set_of(key.filter)], EPOLL_CTL_DEL, key.ident, nullptr);
    } else if (knote.source >= 0) {
      ::syscall(SYS_epoll_ctl, front_, EPOLL_CTL_DEL, knote.source, nullptr);
      close_now(knote.source);
    }
    knotes_.erase(found);
    show();
  }

  Look look(const Key& key, const Knote& knote) const {
    return is_of_descriptor(key.filter) ? look_at(key, knote) : knote.seen;
  }

  // Something may have happened to it: makes it active if so.
  void consider(const Key& key, Knote& knote) {
    if (look(key, knote).ready) knote.active = true;
    if (!knote.active || !knote.enabled || knote.queued) return;
    active_.push(knote);
    const std::uint64_t one = 1;
    static_cast<void>(!::write(ready_, &one, sizeof one));
  }

  // The descriptor is readable while something is queued.
  void show() const {
    std::uint64_t count = 0;
    if (active_.empty()) static_cast<void>(!::read(ready_, &count, sizeof count));
  }

  // Hears of what has happened since the last time, but not to `deaf`.
  void listen(const Knote* deaf = nullptr) {
    for (const int set : {front_, sets_[0], sets_[1], sets_[2]}) {
      std::array<epoll_event, 64> events;
      for (;;) {
        const long count =
            ::syscall(SYS_epoll_pwait, set, events.data(), events.size(), 0, nullptr);
        for (long i = 0; i < count; ++i) {
          const auto found = knotes_.find(unpacked(events[static_cast<std::size_t>(i)].data.u64));
          if (found != knotes_.end() && &found->second != deaf) hear(found->first, found->second);
        }
        if (count < static_cast<long>(events.size())) break;
      }
    }
  }

  void hear(const Key& key, Knote& knote) {
    std::uint64_t count = 0;
    switch (key.filter) {
      case EVFILT_SIGNAL:
        if (is_pending(static_cast<int>(key.ident))) ++knote.seen.data;
        break;
      case EVFILT_TIMER:
        if (::read(knote.source, &count, sizeof count) == sizeof count) {
          knote.seen.data += static_cast<std::int64_t>(count);
        }
        break;
      case EVFILT_PROC:
        knote.flags |= EV_ONESHOT;
        knote.seen = {true, true, 0, NOTE_EXIT};
        break;
      default:
        break;
    }
    if (key.filter == EVFILT_SIGNAL || key.filter == EVFILT_TIMER) {
      knote.seen.ready = knote.seen.data != 0;
    }
    consider(key, knote);
  }

  // Returns false if it was active, and is not any more.
  bool give(Knote& knote, struct kevent& event) {
    const Key key = *knote.key;
    const Look seen = look(key, knote);
    if (!seen.ready) {
      knote.active = false;
      return false;
    }
    event = {};
    event.ident = key.ident;
    event.filter = key.filter;
    event.flags = static_cast<unsigned short>(knote.flags | (seen.eof ? EV_EOF : 0));
    event.fflags = key.filter == EVFILT_USER ? knote.fflags : seen.fflags;
    event.data = key.filter == EVFILT_USER ? knote.data : seen.data;
    event.udata = knote.udata;
    if ((knote.flags & EV_ONESHOT) != 0) {
      drop(knotes_.find(key));
    } else if ((knote.flags & (EV_CLEAR | EV_DISPATCH)) != 0) {
      if ((knote.flags & EV_CLEAR) != 0) knote.seen = {};
      if ((knote.flags & EV_DISPATCH) != 0) knote.enabled = false;
      knote.active = false;
    } else {
      active_.push(knote);
    }
    return true;
  }

  int front_ = -1;
  int ready_ = -1;
  std::array<int, 3> sets_{-1, -1, -1};  // of each filter for descriptors; in front, or apart
  std::array<bool, 3> is_nested_{};
  std::array<bool, 3> is_apart_{};
  bool works_ = false;
  Knotes knotes_;
  ActiveList active_;
};

// The queues of this process, by descriptor; those of one are the same queue.
struct World {
  std::mutex mutex;
  std::map<int, Queue*, std::less<>, Malloc<std::pair<const int, Queue*>>> queues;
  sigset_t mask_of_forking_thread;
  bool survives_forks = false;
};

World& world() {
  alignas(World) static std::byte room[sizeof(World)];
  static auto* const made = ::new (static_cast<void*>(room)) World;
  return *made;
}

// No signal handler of this thread runs meanwhile: it may want the lock too. Nor is the thread
// cancelled, but while it sleeps.
class Lock {
 public:
  Lock() {
    sigset_t all;
    ::sigfillset(&all);
    ::pthread_sigmask(SIG_SETMASK, &all, &mask_);
    ::pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &cancel_state_);
    world().mutex.lock();
  }
  ~Lock() {
    world().mutex.unlock();
    ::pthread_setcancelstate(cancel_state_, nullptr);
    ::pthread_sigmask(SIG_SETMASK, &mask_, nullptr);
  }
  Lock(const Lock&) = delete;
  Lock& operator=(const Lock&) = delete;

  // Sleeps until one is readable, with the lock given back, and interrupted by signals.
  int sleep(Queue::Sources sources, const timespec* timeout) {
    const Given given(*this);
    return ::ppoll(sources.data(), sources.size(), timeout, &mask_);
  }

 private:
  // The lock is given back while this lives, which a cancellation may end.
  struct Given {
    explicit Given(const Lock& lock) {
      world().mutex.unlock();
      ::pthread_setcancelstate(lock.cancel_state_, nullptr);
    }
    ~Given() {
      const int error = errno;
      ::pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, nullptr);
      world().mutex.lock();
      errno = error;
    }
    Given(const Given&) = delete;
    Given& operator=(const Given&) = delete;
  };

  sigset_t mask_;
  int cancel_state_;
};

Queue* queue_at(int fd) {
  const auto found = world().queues.find(fd);
  return found != world().queues.end() ? found->second : nullptr;
}

void destroy(Queue* queue) {
  queue->~Queue();
  std::free(queue);
}

// Before a number ceases to stand for its file.
void forget(int fd) {
  auto& queues = world().queues;
  for (auto& [number, queue] : queues) queue->forget(fd);
  const auto found = queues.find(fd);
  if (found == queues.end()) return;
  Queue* const queue = found->second;
  queues.erase(found);
  for (const auto& [number, other] : queues) {
    if (other == queue) return queue->be_known_as(number);
  }
  destroy(queue);
}

// After `copy` was made to stand for the file of `fd`.
void duplicated(int fd, int copy) {
  if (Queue* const queue = queue_at(fd); queue != nullptr && copy >= 0)
    world().queues[copy] = queue;
}

// A child has no queue of its parent's: not even the number. The sets behind it are the parent's
// too, so that nothing is taken out of them.
void begin_child() {
  auto& queues = world().queues;
  while (!queues.empty()) {
    Queue* const queue = queues.begin()->second;
    for (auto each = queues.begin(); each != queues.end();) {
      const bool is_its = each->second == queue;
      if (is_its) close_now(each->first);
      each = is_its ? queues.erase(each) : std::next(each);
    }
    destroy(queue);
  }
}

void survive_forks() {
  if (world().survives_forks) return;
  world().survives_forks = true;
  ::pthread_atfork(
      [] {
        sigset_t all, mask;
        ::sigfillset(&all);
        ::pthread_sigmask(SIG_SETMASK, &all, &mask);
        world().mutex.lock();
        world().mask_of_forking_thread = mask;
      },
      [] {
        const sigset_t mask = world().mask_of_forking_thread;
        world().mutex.unlock();
        ::pthread_sigmask(SIG_SETMASK, &mask, nullptr);
      },
      [] {
        begin_child();
        const sigset_t mask = world().mask_of_forking_thread;
        world().mutex.unlock();
        ::pthread_sigmask(SIG_SETMASK, &mask, nullptr);
      });
}

// The changes, one after the other. Gives the number of results, or -1 if there was no room for an
// error; what came before it is done then.
int apply_all(Queue& queue, const struct kevent* changes, int change_count, struct kevent* events,
              int room) {
  int count = 0;
  for (int i = 0; i < change_count; ++i) {
    const struct kevent change = changes[i];  // the results may lie in the same place
    const int error = queue.apply(change);
    if (error == 0 && (change.flags & EV_RECEIPT) == 0) continue;
    if (count == room) {
      if (error == 0) continue;
      errno = error;
      return -1;
    }
    events[count] = change;
    events[count].flags = EV_ERROR;
    events[count].data = error;
    ++count;
  }
  return count;
}

using Clock = std::chrono::steady_clock;

timespec until(Clock::time_point end) {
  const auto left = std::max(end - Clock::now(), Clock::duration::zero());
  return {left.count() / 1'000'000'000, left.count() % 1'000'000'000};
}

Clock::time_point end_of(const timespec& timeout) {
  constexpr time_t kForEver = 1'000'000'000;
  const auto seconds = std::chrono::seconds(std::min(timeout.tv_sec, kForEver));
  return Clock::now() + seconds + std::chrono::nanoseconds(timeout.tv_nsec);
}

int wait_for(Lock& lock, int fd, struct kevent* events, int room, const timespec* timeout) {
  const bool at_once = timeout != nullptr && timeout->tv_sec == 0 && timeout->tv_nsec == 0;
  const Clock::time_point end =
      timeout != nullptr && !at_once ? end_of(*timeout) : Clock::time_point::max();
  for (;;) {
    Queue* const queue = queue_at(fd);
    if (queue == nullptr) {
      errno = EBADF;
      return -1;
    }
    if (const int count = queue->take(events, room); count > 0 || at_once) return count;
    if (timeout != nullptr && Clock::now() >= end) return 0;
    const timespec left = timeout != nullptr ? until(end) : timespec{};
    if (lock.sleep(queue->sources(), timeout != nullptr ? &left : nullptr) < 0) return -1;
  }
}

template <class... Arguments>
int call(long number, Arguments... arguments) {
  return static_cast<int>(::syscall(number, arguments...));
}

}  // namespace

extern "C" {

int kqueue_model_open(void) {
  const Lock lock;
  survive_forks();
  void* const room = std::malloc(sizeof(Queue));
  if (room == nullptr) std::abort();
  auto* const queue = ::new (room) Queue;
  const int front = queue->front();
  if (queue->works()) {
    world().queues[front] = queue;
    return front;
  }
  const int error = errno;
  destroy(queue);
  close_now(front);
  errno = error;
  return -1;
}

int kqueue_model_kevent(int fd, const struct kevent* changes, int change_count,
                        struct kevent* events, int room, const struct timespec* timeout) {
  if (room > 0) ::pthread_testcancel();
  Lock lock;
  Queue* const queue = queue_at(fd);
  if (queue == nullptr) {
    errno = EBADF;
    return -1;
  }
  const int results = apply_all(*queue, changes, change_count, events, room);
  if (results != 0 || room == 0) return results;
  return wait_for(lock, fd, events, room, timeout);
}

[[gnu::weak]] int kqueue(void) { return kqueue_model_open(); }

[[gnu::weak]] int kevent(int fd, const struct kevent* changes, int change_count,
                         struct kevent* events, int room, const struct timespec* timeout) {
  return kqueue_model_kevent(fd, changes, change_count, events, room, timeout);
}

// What makes a number stand for another file, or for none. It must be seen here: a knote belongs to
// the number, and goes with it, though a duplicate keeps the file. Visible to other libraries, as
// those close descriptors too.
#pragma GCC visibility push(default)

int close(int fd) {
  const Lock lock;
  forget(fd);
  return call(SYS_close, fd);
}

int dup(int fd) noexcept {
  const Lock lock;
  const int copy = call(SYS_dup, fd);
  duplicated(fd, copy);
  return copy;
}

int dup3(int fd, int copy, int flags) noexcept {
  const Lock lock;
  if (is_open(fd) && fd != copy) forget(copy);
  const int result = call(SYS_dup3, fd, copy, flags);
  duplicated(fd, result);
  return result;
}

int dup2(int fd, int copy) noexcept {
  if (fd != copy) return dup3(fd, copy, 0);
  return is_open(fd) ? copy : call(SYS_fcntl, fd, F_GETFD);
}

int fcntl(int fd, int command, ...) {
  std::va_list arguments;
  va_start(arguments, command);
  const long argument = va_arg(arguments, long);
  va_end(arguments);
  if (command != F_DUPFD && command != F_DUPFD_CLOEXEC)
    return call(SYS_fcntl, fd, command, argument);
  const Lock lock;
  const int copy = call(SYS_fcntl, fd, command, argument);
  duplicated(fd, copy);
  return copy;
}

#pragma GCC visibility pop

}  // extern "C"

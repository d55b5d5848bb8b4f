// The fd table: which events watch which fd, and what the kernel has registered of it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <utility>

#include "base/grow_array.hpp"
#include "base/paged_array.hpp"
#include "event/detail/node.hpp"
#include "loop/poller_and_files.hpp"
#include "poller/poller.hpp"

namespace event_cpp::detail {

// Sixteen bytes per fd, found by index. The kernel is told at once when an event is added, so that
// attach() reports the kernel's error. It is told lazily when interest shrinks or changes: before
// the next wait, so that several changes cost one call; and not at all when nobody is interested
// any more, until it reports the fd. So neither a one-shot that is attached again after it fired,
// nor a connection that is served and closed costs a call beyond its first registration.
//
// An fd's registration is in one of four states:
//
//   none      the kernel does not know the fd
//   active    an event is attached, or a one-shot fired and may be attached again
//   released  the last attached event was detached by hand, and no wait has begun since
//   kept      nobody is interested, a wait has begun since, or the last event was destroyed: the fd
//             may have been closed meanwhile, and may stand for another file
//
//   from              on                                                  to        call
//   none              attach                                              active    add
//   active            attach, and the interest grows                      active    modify
//   active            the interest changes or shrinks: at the next wait   active    modify
//   active            the last attached event is detached by hand         released  -
//   active, released  the last event is destroyed or assigned another fd  kept *    -
//   released          the same event is attached                          active    -
//   released          the next wait begins                                kept *    -
//   kept              the same event is attached                          active    modify **
//   kept              another event is attached                           active    add or modify
//   kept              the kernel reports the fd: at the next wait         none      remove
//   not none          the last event goes, and the library closes the fd  none      remove
//   not none          the fd turns out to be closed or reused             none      remove
//
//   *  none, by a call, where lazy removal gains nothing or is disabled, and for exclusive events
//   ** says whether the fd still stands for the same file
//
// An event stays linked here from add() until forget(), or until the registration is gone: a
// detached one is remembered, because its registration is. Each registration of a new file gets a
// new generation, which travels through the kernel: a report of another generation is of a
// registration that a duplicate of the fd keeps alive, and repair() gets rid of it.
class FdTable {
 public:
  static constexpr Events kConditions = Poller::kConditions;
  static constexpr Events kOptions = Events::edge | Events::exclusive;

  // Errors: throws std::bad_alloc.
  FdTable(PollerAndFiles& kernel, ReadyBatch& batch) : kernel_(kernel), batch_(batch) {
    dirty_.reserve(kDirtyRoom);
    entries_.make(0);  // where reports of a deadline are looked up
  }
  FdTable(const FdTable&) = delete;
  FdTable& operator=(const FdTable&) = delete;

  // Watches node.descriptor for what node.events asks; the caller then sets node.attached.
  // A node that is still linked stands for the same open file as before. It becomes the last one on
  // its fd, unless it is attached already.
  // Returns 0 or an errno, and then has changed nothing. Cost: one system call, none if the kernel
  // still watches for it, three if the fd was closed and reused while it was watched.
  int add(Node& node) noexcept;

  // The same for a node of the loop's own, on a new fd; -1: the poller does without one.
  int add_internal(Node& node, int fd) noexcept {
    node.descriptor = fd;
    if (fd < 0) return 0;
    const int error = add(node);
    node.attached = error == 0;
    return error;
  }

  // Whether the kernel still reports all that a detached node is interested in, so that add() has
  // nothing to do: the node is linked, and alone on its fd.
  bool still_watches(const Node& node) const noexcept {
    if (!node.linked) return false;
    const Entry& entry = entries_[static_cast<std::size_t>(node.descriptor)];
    const Events interest = node.events & (kConditions | kOptions);
    return entry.is_current() && !entry.head.is_list() && entry.registered == interest &&
           !any(interest & kOptions);
  }

  // For debug builds: asks the kernel whether the fd of a node that still_watches() says yes for is
  // still the file that was registered. Returns 0, or the errno that says it is not.
  int check_still_same_file(const Node& node) noexcept;

  // node.events of an attached node has changed. Returns 0, or an errno if the fd must be
  // registered anew, and that fails. Cost: one system call before the next wait at most.
  int interest_changed(Node& node) noexcept;

  // Moves an attached node behind the others on its fd, so that it fires last. Cost: linear in
  // their number.
  void put_last(Node& node) noexcept;

  // The node was detached by hand.
  void detached(Node& node) noexcept;

  // Unlinks the node: it goes away, or will watch another file.
  void forget(Node& node) noexcept;

  // The same for a node whose fd the library closes next. Nothing is kept: the child of a fork(2)
  // in another thread may have a duplicate, and the fd cannot be named any more when that is
  // reported. Cost: a system call where the kernel keeps registrations.
  void forget_before_close(Node& node) noexcept;

  // A one-shot fired. Its registration is kept for when it is attached again, but not beyond the
  // next wait if it is exclusive: then it takes wake-ups away from other bases.
  void fired(Node& node) noexcept {
    if (node.stale || any(node.events & Events::exclusive)) detached(node);
  }

  // Calls activate(node, conditions) for each attached node that asks for what is reported, in the
  // order in which they were attached. activate() may throw: the same report may then be given
  // again.
  template <class Activate>
  void report(const ReadyEvent& ready, Activate activate) {
    // What the kernel reports was registered once, so its page is there.
    Entry& entry = entries_[static_cast<std::size_t>(ready.fd)];
    if (entry.generation != ready.generation) [[unlikely]]
      return report_of_none(ready, entry);
    // Nearly always there is one node, attached, and it asked.
    if (entry.head.is_list()) return report_to_list(ready, entry, activate);
    Node& node = *entry.head.node();
    const Events what = ready.what(node.events) & node.events;  // what is reported are conditions
    if (any(what) && node.attached) [[likely]] {
      activate(node, what);
    } else {
      report_unasked(ready, entry);
    }
  }

  // The node that a report is for, if it is alone on its fd and attached; else nullptr.
  Node* only_one_on(const ReadyEvent& ready) noexcept {
    const Entry& entry = entries_[static_cast<std::size_t>(ready.fd)];
    if (entry.generation != ready.generation || entry.head.is_list()) return nullptr;
    Node* const node = entry.head.node();
    return node->attached ? node : nullptr;
  }

  // To be called after each so many waits: checks one of the fds that were reported, each in turn.
  // If it was closed, and a duplicate is ready, the events on it would fire for ever; so they fire
  // until the turn is theirs. Cost: a system call.
  void check_reported() noexcept;

  // From now on what nobody is interested in is removed at once: what the kernel watches shows to
  // others.
  void disable_lazy_removal() noexcept;

  // Tells the kernel what has changed since the last call. To be called before each wait. Returns
  // 0, or an errno if not all of it could be told; the next call tries again. EBADF: a descriptor
  // of the loop's own was closed behind its back.
  int flush() noexcept { return dirty_.empty() && !needs_repair_ ? 0 : flush_slowly(); }

  // Registers everything with a kernel side that knows nothing yet. Returns 0 or an errno; then it
  // may be called again.
  int register_all() noexcept;

  // Makes room for so many fds, with two events each, and some that are taken by others.
  // Errors: throws std::bad_alloc.
  void reserve(std::size_t fds) {
    entries_.reserve(fds + PagedArray<Entry>::kPageSize);
    links_.reserve(2 * fds);
    kernel_.poller().reserve(fds);
  }

  // Frees what many events on few fds took, once there are none.
  void shrink(std::size_t most) noexcept { links_.shrink(most); }

  // Calls f(node) for each attached node, by fd, and on one fd in the order of attaching.
  template <class F>
  void for_each_attached(F&& f) {
    entries_.for_each([&](std::size_t, Entry& entry) {
      for_each_node(entry, [&](Node& node) {
        if (node.attached) f(node);
      });
    });
  }

  // Calls f(node) for each linked node and unlinks it, telling the kernel nothing.
  template <class F>
  void clear(F&& f) noexcept {
    entries_.for_each([&](std::size_t, Entry& entry) {
      for_each_node(entry, [&](Node& node) {
        node.linked = node.stale = false;
        f(node);
      });
      entry = Entry{};
    });
  }

 private:
  enum class State : std::uint8_t { none, active, released, kept };

  // The nodes on an fd: none, one, or a ring of links of which this names the last.
  struct Head {
    std::uintptr_t bits = 0;

    bool empty() const noexcept { return bits == 0; }
    bool is_list() const noexcept { return (bits & 1) != 0; }
    Node* node() const noexcept { return reinterpret_cast<Node*>(bits); }
    std::uint32_t last() const noexcept { return static_cast<std::uint32_t>(bits >> 1); }
    static Head of(Node& node) noexcept { return {reinterpret_cast<std::uintptr_t>(&node)}; }
    static Head of(std::uint32_t last) noexcept { return {std::uintptr_t{last} << 1 | 1}; }
  };

  struct Entry {
    Head head;
    // Of the registration. Of a kept one that no node is for it is another than the kernel's, so
    // that report() need not ask whether there is a node.
    std::uint32_t generation = 0;
    Events registered = Events::none;  // what the kernel reports, options included
    State state = State::none;
    bool dirty : 1 = false;  // in dirty_
    // What was reported since the last flush though nobody asked for it. The kernel reports a
    // hang-up and an error in any case, so these must be silenced.
    bool unasked : 1 = false;
    bool hung_up : 1 = false;
    bool errored : 1 = false;

    bool is_registered() const noexcept { return state != State::none; }
    // A node that is linked stands for the same file as before.
    bool is_current() const noexcept { return state == State::active || state == State::released; }
  };
  static_assert(sizeof(void*) != 8 || sizeof(Entry) == 16);

  struct Link {
    Node* node;
    union {
      std::uint32_t next;
      std::uint32_t next_free;
    };
  };

  static constexpr std::size_t kDirtyRoom = 128;  // there from the start

  // For modify(): whether the change may be made by the next wait.
  static constexpr bool kNow = false;
  static constexpr bool kBeforeNextWait = true;

  template <class F>
  void for_each_node(const Entry& entry, F&& f) {
    if (!entry.head.is_list()) {
      if (!entry.head.empty()) f(*entry.head.node());
      return;
    }
    const std::uint32_t last = entry.head.last();
    for (std::uint32_t i = links_[last].next;;) {
      const std::uint32_t next = links_[i].next;  // f may unlink the node
      f(*links_[i].node);
      if (i == last) return;
      i = next;
    }
  }

  void report_of_none(const ReadyEvent& ready, Entry& entry) noexcept;
  void report_unasked(const ReadyEvent& ready, Entry& entry) noexcept;

  // Apart, so that the registers it needs are not saved in report().
  template <class Activate>
  [[gnu::noinline]] void report_to_list(const ReadyEvent& ready, Entry& entry, Activate activate) {
    bool asked = false;
    for_each_node(entry, [&](Node& node) {
      const Events what = ready.what(node.events) & node.events & kConditions;
      if (!any(what) || !node.attached || node.stale) return;
      asked = true;
      activate(node, what);
    });
    if (!asked) report_unasked(ready, entry);
  }

  // The nodes of an fd.
  void make_room_for(const Node& node, const Entry& entry);
  void append(Entry& entry, Node& node) noexcept;
  void unlink(Entry& entry, Node& node) noexcept;
  void unlink_detached(Entry& entry) noexcept;
  Node* find_detached(const Entry& entry) noexcept;
  bool has_live_node(const Entry& entry) noexcept;
  Events interest_of(const Entry& entry, const Node* also = nullptr) noexcept;

  // The registration of an fd.
  static std::uint32_t next_generation(const Entry& entry) noexcept {
    return entry.generation + 1 != ReadyEvent::kSource ? entry.generation + 1 : 0;
  }
  static bool covers(Events registered, Events interest) noexcept;
  int modify(int fd, Entry& entry, Events interest, bool may_defer) noexcept;
  int extend_registration(int fd, Entry& entry, const Node& added) noexcept;
  int replace_registration(int fd, std::uint32_t generation, Events interest) noexcept;
  void begin_registration(Entry& entry, std::uint32_t generation, Events interest) noexcept;
  bool may_keep(const Entry& entry) const noexcept;
  void keep(Entry& entry) noexcept;
  void deregister(int fd, Entry& entry) noexcept;
  void drop(Entry& entry) noexcept;
  void invalidate(int fd, Entry& entry) noexcept;

  // What is told before the next wait.
  void mark_dirty(int fd, Entry& entry) noexcept;
  int flush_slowly() noexcept;
  int reconcile(int fd, Entry& entry) noexcept;
  int repair() noexcept;

  PollerAndFiles& kernel_;
  ReadyBatch& batch_;  // of the last wait
  PagedArray<Entry> entries_;
  RecordPool<Link> links_;
  GrowArray<int> dirty_;
  std::size_t checked_ = 0;
  bool needs_repair_ = false;  // the kernel reports a registration that is not ours any more
  bool removes_lazily_ = true;
  bool expects_same_file_ = false;  // of a kept fd, for another event: which guess was right last
  bool internal_lost_ = false;      // a descriptor of the loop's own was closed behind its back
};

}  // namespace event_cpp::detail

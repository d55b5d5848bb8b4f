// The descriptor table: which events watch which descriptor, and what the kernel was told of it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <utility>

#include "backend/backend.hpp"
#include "core/grow_array.hpp"
#include "core/paged_array.hpp"
#include "event/detail/node.hpp"

namespace event_cpp::detail {

// Sixteen bytes a descriptor, found by index. What the kernel was told changes at once when an
// event is added, so that its errors are the caller's; what nobody needs any more is taken back
// lazily: before the next wait, or, if nobody wants anything of a descriptor, only when the kernel
// reports it, or when its last node goes away. So a one-shot that is attached again after it fired
// costs no system call, and detaching costs none where that can be: attaching again then costs one,
// which says whether the number still stands for the same file.
//
// A node stays linked here from add() until forget(), or until the kernel's registration is gone:
// detached ones are remembered, because their registration is. Each registration of a new file gets
// a new generation, which travels through the kernel: a report of another generation is of a
// registration that a duplicate of the descriptor keeps alive, and repair() gets rid of it.
class FdTable {
 public:
  static constexpr Events kConditions = BackendPort::kConditions;
  static constexpr Events kOptions = Events::edge | Events::exclusive;

  // Errors: throws std::bad_alloc.
  explicit FdTable(BackendPort& backend) : backend_(backend) {
    dirty_.reserve(kDirtyRoom);
    entries_.make(0);  // where reports of the backend's own are looked up
  }
  FdTable(const FdTable&) = delete;
  FdTable& operator=(const FdTable&) = delete;

  // Watches node.descriptor for what node.events asks; the caller then sets node.attached.
  // A node that is still linked stands for the same open file as before.
  // Returns 0 or an errno, and then has changed nothing. Cost: one system call, none if the kernel
  // still watches for it, three if the number was closed and given away while it was watched.
  int add(Node& node) noexcept { return still_watches(node) ? 0 : add_slowly(node); }

  // Whether the kernel still reports all that a node wants that was detached, so that add() has
  // nothing to do: it is linked, and alone on its descriptor.
  bool still_watches(const Node& node) const noexcept {
    if (!node.linked) return false;
    const Entry& entry = entries_[static_cast<std::size_t>(node.descriptor)];
    const Events wanted = node.events & (kConditions | kOptions);
    return entry.registered && !entry.kept && !entry.head.is_list() && entry.told == wanted &&
           !any(wanted & kOptions);
  }

  // The node was detached by hand: the kernel hears of it before the next wait, if it must.
  void detached(Node& node) noexcept;

  // Unlinks the node: it goes away, or will watch another file. If nobody else is interested in the
  // descriptor, the kernel hears of it now, while the descriptor is still open.
  void forget(Node& node) noexcept;

  // A one-shot fired. Its registration is kept for when it is attached again, but not beyond the
  // next wait if it is exclusive: then it takes wake-ups away from other bases.
  void fired(Node& node) noexcept {
    if (node.lost || any(node.events & Events::exclusive)) detached(node);
  }

  // Calls activate(node, conditions) for each attached node that wants what is reported, in the
  // order in which they were attached. activate() may throw: the same report may then be given
  // again.
  template <class Activate>
  void report(const Ready& ready, Activate activate) {
    // What the kernel reports was registered once, so its page is there.
    Entry& entry = entries_[static_cast<std::size_t>(ready.fd)];
    if (entry.generation != ready.generation) [[unlikely]]
      return report_of_none(ready);
    // Whoever is registered has a node; nearly always it is the only one, attached, and asked.
    if (entry.head.is_list()) return report_to_list(ready, entry, activate);
    Node& node = *entry.head.node();
    const Events what = ready.what() & node.events;  // what is reported are conditions
    if (any(what) && node.attached) [[likely]] {
      activate(node, what);
    } else {
      unwanted(ready, entry);
    }
  }

  // The node that a report is for, if it is alone on its descriptor and attached; else nullptr.
  Node* only_one_on(const Ready& ready) noexcept {
    const Entry& entry = entries_[static_cast<std::size_t>(ready.fd)];
    if (entry.generation != ready.generation || entry.head.is_list()) return nullptr;
    Node* const node = entry.head.node();
    return node->attached ? node : nullptr;
  }

  // Nothing is taken back lazily any more: what the kernel watches shows to others.
  void be_exact() noexcept;

  // Tells the kernel what has changed since the last call. To be called before each wait. Returns
  // the errno of a repair that could not be made, else 0.
  int flush() noexcept { return dirty_.empty() && !stale_ ? 0 : flush_slowly(); }

  // Registers everything with a kernel side that knows nothing yet. Returns 0 or an errno; then it
  // may be called again.
  int register_all() noexcept;

  // How many system calls have told the kernel something.
  std::uint64_t told_kernel() const noexcept { return told_kernel_; }

  // Makes room for so many descriptors, with two events each, and some numbers that are taken by
  // others. Errors: throws std::bad_alloc.
  void reserve(std::size_t descriptors) {
    entries_.reserve(descriptors + PagedArray<Entry>::kPageSize);
    links_.reserve(2 * descriptors);
  }

  // Calls f(node) for each attached node, by descriptor, and on one in the order of attaching.
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
        node.linked = node.lost = false;
        f(node);
      });
      entry = Entry{};
    });
  }

 private:
  // Nodes on a descriptor: none, one, or a ring of links of which this names the last.
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
    std::uint32_t generation = 0;  // of the registration, or of none
    Events told = Events::none;    // what the kernel reports, options included
    bool registered = false;       // the kernel knows the descriptor, if only for nothing
    bool dirty : 1 = false;        // in dirty_
    bool take_back : 1 = false;    // if nobody wants anything, wanting nothing is not enough
    bool kept : 1 = false;     // nobody wanted anything at the last wait, and it was left as it is
    bool hung_up : 1 = false;  // which the kernel reports whatever is wanted, and nobody asked
  };
  static_assert(sizeof(void*) != 8 || sizeof(Entry) == 16);

  struct Link {
    Node* node;
    union {
      std::uint32_t next;
      std::uint32_t next_free;
    };
  };

  static constexpr std::size_t kDirtyRoom = 128;  // more are reconciled at once

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

  void report_of_none(const Ready& ready) noexcept;

  // Apart, so that the registers it needs are not saved in report().
  template <class Activate>
  [[gnu::noinline]] void report_to_list(const Ready& ready, Entry& entry, Activate activate) {
    bool wanted = false;
    for_each_node(entry, [&](Node& node) {
      const Events what = ready.what() & node.events & kConditions;
      if (!any(what) || !node.attached || node.lost) return;
      wanted = true;
      activate(node, what);
    });
    if (!wanted) unwanted(ready, entry);
  }

  int add_slowly(Node& node) noexcept;
  void make_room_for(const Node& node, const Entry& entry);
  void append(Entry& entry, Node& node) noexcept;
  void unlink(Entry& entry, Node& node) noexcept;
  void unlink_detached(Entry& entry) noexcept;
  Node* find_detached(const Entry& entry) noexcept;
  bool all_lost(const Entry& entry) noexcept;

  static void begin_generation(Entry& entry) noexcept {
    if (++entry.generation == Ready::kOwn) entry.generation = 0;
  }
  Events wanted(const Entry& entry, const Node* also = nullptr) noexcept;
  static bool covers(Events told, Events wanted) noexcept;
  int update(Change change, int fd, const Entry& entry, Events wanted) noexcept;
  int modify(int fd, Entry& entry, Events wanted) noexcept;
  int narrow(int fd, Entry& entry, Events wanted) noexcept;
  int tell(int fd, Entry& entry, const Node& added) noexcept;
  int register_anew(int fd, Entry& entry, Events wanted) noexcept;
  bool may_keep(const Entry& entry) const noexcept;
  void take_back(int fd, Entry& entry) noexcept;
  void lose(int fd, Entry& entry) noexcept;
  void unwanted(const Ready& ready, Entry& entry) noexcept;
  void mark_dirty(int fd, Entry& entry) noexcept;
  int flush_slowly() noexcept;
  void reconcile(int fd, Entry& entry) noexcept;
  int repair() noexcept;

  BackendPort& backend_;
  PagedArray<Entry> entries_;
  RecordPool<Link> links_;
  GrowArray<int> dirty_;
  bool stale_ = false;  // the kernel reports a registration that is not ours any more
  bool exact_ = false;  // nothing is taken back lazily at detach: once it did, or if it shows
  std::uint64_t told_kernel_ = 0;
};

}  // namespace event_cpp::detail

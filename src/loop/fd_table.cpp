#include "loop/fd_table.hpp"

#include <cerrno>
#include <new>

#include "base/resource_exhausted.hpp"

namespace event_cpp::detail {
namespace {

// The fd is closed, or stands for a file that the kernel does not watch for us.
constexpr bool means_gone(int error) noexcept { return error == EBADF || error == ENOENT; }

// Fds below this need two kilobytes of table for where its pages are.
constexpr int kFar = 65'536;

}  // namespace

int FdTable::add(Node& node) noexcept {
  if (still_watches(node)) return 0;
  const int fd = node.descriptor;
  Entry* entry = entries_.find(static_cast<std::size_t>(fd));
  if (entry == nullptr && fd >= kFar) {
    // A wild fd must not make a huge table. The kernel says ENOENT if it is open.
    const int error = kernel_.modify(fd, 0, Events::none, kNow);
    if (error != 0 && error != ENOENT) return error;
  }
  try {
    entry = &entries_.make(static_cast<std::size_t>(fd));
    make_room_for(node, *entry);
  } catch (const std::bad_alloc&) {
    return ENOMEM;
  }
  const bool same_file = node.linked && entry->is_current();
  if (!same_file || !covers(entry->registered, interest_of(*entry, &node))) {
    int error = extend_registration(fd, *entry, node);
    if (error == ENOENT) {
      const std::uint32_t generation = next_generation(*entry);
      const Events interest = interest_of(*entry, &node);
      error = kernel_.add(fd, generation, interest);
      if (error == EEXIST) error = replace_registration(fd, generation, interest);
      if (error == 0) begin_registration(*entry, generation, interest);
    }
    if (error != 0) return error;
  }
  if (node.linked) {
    if (node.attached || !entry->head.is_list()) return 0;
    unlink(*entry, node);  // and to the end: events fire in the order they were attached
  }
  append(*entry, node);
  return 0;
}

int FdTable::check_still_same_file(const Node& node) noexcept {
  const Entry& entry = entries_[static_cast<std::size_t>(node.descriptor)];
  return kernel_.verify(node.descriptor, entry.generation, entry.registered);
}

int FdTable::interest_changed(Node& node) noexcept {
  if (node.stale) return EBADF;
  Entry& entry = entries_[static_cast<std::size_t>(node.descriptor)];
  // A hang-up ended the registration while nobody was interested.
  if (!entry.is_registered()) return add(node);
  try {
    if (dirty_.size() == dirty_.capacity()) dirty_.reserve(2 * dirty_.size());
  } catch (const std::bad_alloc&) {
    return reconcile(node.descriptor, entry);
  }
  mark_dirty(node.descriptor, entry);
  return 0;
}

void FdTable::put_last(Node& node) noexcept {
  Entry& entry = entries_[static_cast<std::size_t>(node.descriptor)];
  if (node.stale || !entry.head.is_list()) return;
  unlink(entry, node);
  append(entry, node);
}

void FdTable::detached(Node& node) noexcept {
  Entry& entry = entries_[static_cast<std::size_t>(node.descriptor)];
  if (node.stale) {
    unlink(entry, node);
    return;
  }
  const bool was_last = !entry.head.is_list() || !any(interest_of(entry));
  if (entry.state == State::active && was_last) entry.state = State::released;
  if (removes_lazily_) {
    mark_dirty(node.descriptor, entry);
  } else {
    static_cast<void>(reconcile(node.descriptor, entry));
  }
}

void FdTable::forget(Node& node) noexcept {
  Entry& entry = entries_[static_cast<std::size_t>(node.descriptor)];
  unlink(entry, node);
  if (!entry.is_registered()) return;
  if (has_live_node(entry)) {
    mark_dirty(node.descriptor, entry);
  } else if (entry.state == State::kept || may_keep(entry)) {
    keep(entry);
  } else {
    deregister(node.descriptor, entry);
  }
}

void FdTable::forget_before_close(Node& node) noexcept {
  Entry& entry = entries_[static_cast<std::size_t>(node.descriptor)];
  unlink(entry, node);
  if (!entry.is_registered()) return;
  if (has_live_node(entry)) {
    mark_dirty(node.descriptor, entry);
  } else {
    deregister(node.descriptor, entry);
  }
}

// The links that append() takes: of a second node two, of each later one one.
void FdTable::make_room_for(const Node& node, const Entry& entry) {
  if (node.linked || entry.head.empty()) return;
  const std::uint32_t first = links_.take();
  if (!entry.head.is_list()) {
    try {
      links_.give_back(links_.take());
    } catch (...) {
      links_.give_back(first);
      throw;
    }
  }
  links_.give_back(first);
}

void FdTable::append(Entry& entry, Node& node) noexcept {
  node.linked = true;
  if (entry.head.empty()) {
    entry.head = Head::of(node);
    return;
  }
  if (!entry.head.is_list()) {
    const std::uint32_t only = links_.take();
    links_[only].node = entry.head.node();
    links_[only].next = only;
    entry.head = Head::of(only);
  }
  const std::uint32_t last = entry.head.last();
  const std::uint32_t added = links_.take();
  links_[added].node = &node;
  links_[added].next = links_[last].next;
  links_[last].next = added;
  entry.head = Head::of(added);
}

void FdTable::unlink(Entry& entry, Node& node) noexcept {
  node.linked = node.stale = false;
  if (!entry.head.is_list()) {
    entry.head = Head{};
    return;
  }
  std::uint32_t before = entry.head.last();
  while (links_[links_[before].next].node != &node) before = links_[before].next;
  const std::uint32_t found = links_[before].next;
  links_[before].next = links_[found].next;
  if (found == entry.head.last()) entry.head = Head::of(before);
  links_.give_back(found);
  if (links_[before].next == before) {
    entry.head = Head::of(*links_[before].node);
    links_.give_back(before);
  }
}

Node* FdTable::find_detached(const Entry& entry) noexcept {
  Node* found = nullptr;
  for_each_node(entry, [&](Node& node) {
    if (!node.attached) found = &node;
  });
  return found;
}

void FdTable::unlink_detached(Entry& entry) noexcept {
  while (Node* const node = find_detached(entry)) unlink(entry, *node);
}

bool FdTable::has_live_node(const Entry& entry) noexcept {
  bool found = false;
  for_each_node(entry, [&](const Node& node) { found = found || !node.stale; });
  return found;
}

// What the attached nodes, and `also`, are interested in. Options only if all of them ask for them.
Events FdTable::interest_of(const Entry& entry, const Node* also) noexcept {
  Events conditions = Events::none;
  Events all_options = kOptions;
  const auto include = [&](const Node& node) {
    const Events asked = node.events & kConditions;
    if (!any(asked)) return;
    conditions |= asked;
    all_options &= node.events;
  };
  for_each_node(entry, [&](const Node& node) {
    if (node.attached && !node.stale) include(node);
  });
  if (also != nullptr) include(*also);
  return any(conditions) ? conditions | all_options : Events::none;
}

// True if a kernel that has `registered` reports all of `interest`. An edge that came while nobody
// was attached may be gone: those are always registered again.
bool FdTable::covers(Events registered, Events interest) noexcept {
  const bool other_kind = any((registered & ~interest) & Events::exclusive);
  return !any((registered | interest) & Events::edge) && !other_kind &&
         !any(interest & ~registered);
}

// Has a registration report something else. `may_defer` as in Poller::modify().
int FdTable::modify(int fd, Entry& entry, Events interest, bool may_defer) noexcept {
  int error = 0;
  if (!any((entry.registered | interest) & Events::exclusive)) {
    error = kernel_.modify(fd, entry.generation, interest, may_defer);
  } else {
    // One that is exclusive cannot be modified, nor can one become so.
    error = kernel_.remove(fd);
    if (error != 0) return error;
    error = kernel_.add(fd, entry.generation, interest);
    if (error != 0 && kernel_.add(fd, entry.generation, entry.registered) != 0) {
      invalidate(fd, entry);
    }
  }
  if (error == 0) entry.registered = interest;
  return error;
}

// Has the registration report what `added` asks for too. ENOENT: there is none of this file.
int FdTable::extend_registration(int fd, Entry& entry, const Node& added) noexcept {
  const bool is_for_another = entry.state == State::kept && !added.linked;
  if (!entry.is_registered() || (is_for_another && !expects_same_file_)) return ENOENT;
  const int error = modify(fd, entry, interest_of(entry, &added), kNow);
  if (error == 0) entry.state = State::active;
  if (!means_gone(error)) return error;
  expects_same_file_ = expects_same_file_ && !is_for_another;
  invalidate(fd, entry);  // closed behind our back, and the fd reused if ENOENT
  return error;
}

// The same file still: it was kept, or came back with dup2() after it was thought to be gone.
int FdTable::replace_registration(int fd, std::uint32_t generation, Events interest) noexcept {
  expects_same_file_ = true;
  int error = kernel_.modify(fd, generation, interest, kNow);
  if (error == EINVAL) {  // one of the two is exclusive
    error = kernel_.remove(fd);
    if (error == 0) error = kernel_.add(fd, generation, interest);
  }
  return error;
}

void FdTable::begin_registration(Entry& entry, std::uint32_t generation, Events interest) noexcept {
  if (entry.state == State::kept) unlink_detached(entry);  // they are of another file
  entry.generation = generation;
  entry.registered = interest;
  entry.state = State::active;
  entry.unasked = entry.hung_up = entry.errored = false;
}

// Whether a registration that nobody is interested in may stay until it reports something. One that
// is exclusive takes wake-ups away from other bases; one of a file that is always ready would
// report at once.
bool FdTable::may_keep(const Entry& entry) const noexcept {
  return removes_lazily_ && !entry.hung_up && !entry.errored &&
         !any(entry.registered & Events::exclusive) &&
         kernel_.poller().traits().prefers_lazy_removal && !kernel_.has_files();
}

void FdTable::keep(Entry& entry) noexcept {
  entry.state = State::kept;
  if (!has_live_node(entry)) entry.generation = next_generation(entry);
}

void FdTable::disable_lazy_removal() noexcept {
  if (!removes_lazily_) return;
  removes_lazily_ = false;
  entries_.for_each([this](std::size_t number, Entry& entry) {
    if (entry.state == State::kept) deregister(static_cast<int>(number), entry);
  });
}

// Ends the registration. What is left of it if the fd was closed but has a duplicate shows when it
// is reported.
void FdTable::deregister(int fd, Entry& entry) noexcept {
  static_cast<void>(kernel_.remove(fd));
  drop(entry);
}

// The kernel has no registration any more, or none that counts.
void FdTable::drop(Entry& entry) noexcept {
  entry.generation = next_generation(entry);  // of no report from now on
  entry.state = State::none;
  entry.unasked = entry.hung_up = entry.errored = false;
  entry.registered = Events::none;
  unlink_detached(entry);
}

// The file is gone: what watched it stays attached, but hears nothing of the fd's next file.
void FdTable::invalidate(int fd, Entry& entry) noexcept {
  deregister(fd, entry);
  for_each_node(entry, [this](Node& node) {
    node.stale = true;
    // Every flush() reports it, and there is no repair.
    if (node.kind() == NodeKind::internal) internal_lost_ = needs_repair_ = true;
  });
}

void FdTable::check_reported() noexcept {
  if (!kernel_.poller().traits().reports_closed || batch_.size() == 0) return;
  const ReadyEvent& ready = batch_.ready()[checked_++ % batch_.size()];
  if (ready.generation == ReadyEvent::kDeadline) return;
  Entry& entry = entries_[static_cast<std::size_t>(ready.fd)];
  // One that waits for changes alone does not fire for ever, and asking would make it fire.
  if (entry.generation != ready.generation || any(entry.registered & Events::edge)) return;
  // As if it were not exclusive: one that is cannot be modified, and the kernel would not look.
  const Events asked = entry.registered & ~Events::exclusive;
  if (means_gone(kernel_.verify(ready.fd, entry.generation, asked))) invalidate(ready.fd, entry);
}

void FdTable::report_of_none(const ReadyEvent& ready, Entry& entry) noexcept {
  if (ready.generation == ReadyEvent::kDeadline) {
    batch_.expired = true;
  } else if (entry.state == State::kept) {
    report_unasked(ready, entry);
  } else {
    needs_repair_ = true;
  }
}

void FdTable::report_unasked(const ReadyEvent& ready, Entry& entry) noexcept {
  if (ready.is_gone()) {
    invalidate(ready.fd, entry);
    return;
  }
  entry.unasked = true;
  entry.hung_up = entry.hung_up || ready.is_hang_up();
  entry.errored = entry.errored || ready.is_error();
  mark_dirty(ready.fd, entry);
}

void FdTable::mark_dirty(int fd, Entry& entry) noexcept {
  if (entry.dirty) return;
  if (dirty_.size() == dirty_.capacity()) {
    static_cast<void>(reconcile(fd, entry));
    return;
  }
  entry.dirty = true;
  dirty_.push_back(fd);
}

int FdTable::flush_slowly() noexcept {
  if (internal_lost_) return EBADF;
  int first_error = 0;
  std::size_t left = 0;
  for (const int fd : dirty_) {
    Entry& entry = entries_[static_cast<std::size_t>(fd)];
    const int error = reconcile(fd, entry);
    entry.dirty = error != 0;
    if (error == 0) continue;
    dirty_[left++] = fd;
    if (first_error == 0) first_error = error;
  }
  dirty_.truncate(left);
  if (dirty_.capacity() > kDirtyRoom) [[unlikely]]
    dirty_.shrink(kDirtyRoom);
  return needs_repair_ && first_error == 0 ? repair() : first_error;
}

// Has the kernel report what is asked for, and no more. Returns an errno if it cannot report all.
int FdTable::reconcile(int fd, Entry& entry) noexcept {
  if (!entry.is_registered()) return 0;
  Events interest = interest_of(entry);
  if (!any(interest) && (entry.state != State::active || entry.hung_up || entry.errored)) {
    const bool is_kept = entry.state == State::kept;
    if (is_kept ? entry.unasked : !may_keep(entry)) {
      deregister(fd, entry);
    } else if (!is_kept) {
      keep(entry);
    }
    return 0;
  }
  // What the kernel always reports cannot be masked, and may pass: only changes are reported then.
  const bool silence = (entry.hung_up && !any(interest & ReadyEvent::kHangupMeans)) ||
                       (entry.errored && !any(interest & ReadyEvent::kErrorMeans));
  if (silence) interest |= Events::edge;
  entry.state = State::active;
  entry.unasked = entry.hung_up = entry.errored = false;
  if (interest == entry.registered) return 0;
  const Events more = interest & ~entry.registered & kConditions;
  const int error = modify(fd, entry, interest, kBeforeNextWait);
  if (means_gone(error)) {
    invalidate(fd, entry);
  } else if (error != 0 && !any(interest)) {
    deregister(fd, entry);  // or it would be reported again and again
  } else if (any(more)) {
    return error;
  }
  return 0;
}

// Leaves behind a kernel set in which something is registered that cannot be named any more: a
// file that is open under another fd, but not under the one it was registered with. If the kernel
// will not have a new set, the old one is as good as it was, and the next flush tries again.
int FdTable::repair() noexcept {
  removes_lazily_ = false;
  int first_error = kernel_.poller().begin_rebuild();
  if (first_error != 0) return first_error;
  entries_.for_each([&](std::size_t number, Entry& entry) {
    if (!entry.is_registered() || first_error != 0) return;
    if (entry.state == State::kept) return drop(entry);
    const int fd = static_cast<int>(number);
    int error = kernel_.modify(fd, entry.generation, entry.registered & ~Events::exclusive, kNow);
    if (error == EINVAL && any(entry.registered & Events::exclusive)) error = 0;  // it is there
    if (error == 0) error = kernel_.add(fd, entry.generation, entry.registered);
    if (error == 0 || error == EEXIST) return;
    if (!is_resource_exhausted(error)) {
      invalidate(fd, entry);  // as in register_all()
    } else {
      first_error = error;
    }
  });
  needs_repair_ = first_error != 0;
  kernel_.poller().end_rebuild(first_error == 0);
  return first_error;
}

int FdTable::register_all() noexcept {
  int first_error = 0;
  kernel_.forget_files();
  entries_.for_each([&](std::size_t number, Entry& entry) {
    if (!entry.is_registered()) return;
    if (entry.state == State::kept) return drop(entry);
    const int fd = static_cast<int>(number);
    const int error = kernel_.add(fd, entry.generation, entry.registered);
    if (error == 0 || error == EEXIST) return;
    // What the kernel does not watch here is not the file that it watched before: the fd was
    // closed, and may be the new kernel side's own now.
    if (!is_resource_exhausted(error)) {
      invalidate(fd, entry);
    } else if (first_error == 0) {
      first_error = error;
    }
  });
  needs_repair_ = internal_lost_ = false;
  return first_error;
}

}  // namespace event_cpp::detail

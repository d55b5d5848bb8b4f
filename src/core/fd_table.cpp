#include "core/fd_table.hpp"

#include <cerrno>
#include <new>

#include "backend/shortage.hpp"

namespace event_cpp::detail {
namespace {

// The descriptor is closed, or its number stands for a file that the kernel does not watch for us.
constexpr bool means_gone(int error) noexcept { return error == EBADF || error == ENOENT; }

// Numbers below this need two kilobytes of table for where its pages are.
constexpr int kFar = 65'536;

}  // namespace

int FdTable::add_slowly(Node& node) noexcept {
  const int fd = node.descriptor;
  Entry* entry = entries_.find(static_cast<std::size_t>(fd));
  if (entry == nullptr && fd >= kFar) {
    // A wild number must not make a huge table. The kernel says ENOENT if it is open.
    const int error = update(Change::modify, fd, Entry{}, Events::none);
    if (error != 0 && error != ENOENT) return error;
  }
  try {
    entry = &entries_.make(static_cast<std::size_t>(fd));
    make_room_for(node, *entry);
  } catch (const std::bad_alloc&) {
    return ENOMEM;
  }
  const bool same_file = node.linked && entry->registered;
  if (!same_file || entry->kept || !covers(entry->told, wanted(*entry, &node))) {
    if (const int error = tell(fd, *entry, node); error != 0) return error;
  }
  if (node.linked) {
    if (!entry->head.is_list()) return 0;
    unlink(*entry, node);  // and to the end: events fire in the order they were attached
  }
  append(*entry, node);
  return 0;
}

void FdTable::detached(Node& node) noexcept {
  Entry& entry = entries_[static_cast<std::size_t>(node.descriptor)];
  if (node.lost) {
    unlink(entry, node);
    return;
  }
  entry.take_back = true;
  if (exact_) {
    reconcile(node.descriptor, entry);
  } else {
    mark_dirty(node.descriptor, entry);
  }
}

void FdTable::forget(Node& node) noexcept {
  Entry& entry = entries_[static_cast<std::size_t>(node.descriptor)];
  unlink(entry, node);
  if (!entry.registered) return;
  if (all_lost(entry)) {
    take_back(node.descriptor, entry);
  } else {
    mark_dirty(node.descriptor, entry);
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
  node.linked = node.lost = false;
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

bool FdTable::all_lost(const Entry& entry) noexcept {
  bool all = true;
  for_each_node(entry, [&](const Node& node) { all = all && node.lost; });
  return all;
}

// What the attached nodes want, and `also`, together. Options only if everybody asks for them.
Events FdTable::wanted(const Entry& entry, const Node* also) noexcept {
  Events conditions = Events::none;
  Events all_options = kOptions;
  const auto want = [&](const Node& node) {
    conditions |= node.events & kConditions;
    all_options &= node.events;
  };
  for_each_node(entry, [&](const Node& node) {
    if (node.attached && !node.lost) want(node);
  });
  if (also != nullptr) want(*also);
  return any(conditions) ? conditions | all_options : Events::none;
}

// True if a kernel that was told `told` reports all of `wanted`. An edge that came while nobody
// was attached may be gone: those are always told anew.
bool FdTable::covers(Events told, Events wanted) noexcept {
  const bool other_kind = any((told & ~wanted) & Events::exclusive);
  return !any((told | wanted) & Events::edge) && !other_kind && !any(wanted & ~told);
}

int FdTable::update(Change change, int fd, const Entry& entry, Events wanted) noexcept {
  ++told_kernel_;
  return backend_.update(change, fd, entry.generation, wanted);
}

// Has a registration report something else.
int FdTable::modify(int fd, Entry& entry, Events wanted) noexcept {
  int error = 0;
  if (!any((entry.told | wanted) & Events::exclusive)) {
    error = update(Change::modify, fd, entry, wanted);
  } else {
    // One that is exclusive cannot be modified, nor can one become so.
    error = update(Change::remove, fd, entry, Events::none);
    if (error != 0) return error;
    error = update(Change::add, fd, entry, wanted);
    if (error != 0 && update(Change::add, fd, entry, entry.told) != 0) lose(fd, entry);
  }
  if (error == 0) entry.told = wanted;
  return error;
}

// The same before a wait, which may tell it on the way.
int FdTable::narrow(int fd, Entry& entry, Events wanted) noexcept {
  if (any((entry.told | wanted) & Events::exclusive)) return modify(fd, entry, wanted);
  ++told_kernel_;
  const int error = backend_.narrow(fd, entry.generation, wanted);
  if (error == 0) entry.told = wanted;
  return error;
}

// Has the kernel watch for `added` too.
int FdTable::tell(int fd, Entry& entry, const Node& added) noexcept {
  // Of what was kept for another node there is most likely nothing left.
  const bool was_kept = entry.kept && !added.linked;
  if (entry.registered && !was_kept) {
    const int error = modify(fd, entry, wanted(entry, &added));
    if (error == 0) entry.kept = entry.take_back = false;
    if (!means_gone(error)) return error;
    lose(fd, entry);  // closed behind our back, and the number given away again if ENOENT
    if (error == EBADF) return error;
  }
  const int error = register_anew(fd, entry, wanted(entry, &added));
  if (error == 0 && was_kept) unlink_detached(entry);
  return error;
}

int FdTable::register_anew(int fd, Entry& entry, Events wanted) noexcept {
  Entry fresh = entry;
  begin_generation(fresh);
  int error = update(Change::add, fd, fresh, wanted);
  // A registration that was thought to be gone, and came back with dup2().
  if (error == EEXIST) {
    error = update(Change::remove, fd, fresh, Events::none);
    if (error == 0) error = update(Change::add, fd, fresh, wanted);
  }
  if (error != 0) return error;
  entry.generation = fresh.generation;
  entry.told = wanted;
  entry.registered = true;
  entry.take_back = entry.hung_up = entry.kept = false;
  return 0;
}

// Whether a registration that nobody wants may stay until it reports something. One that is
// exclusive takes wake-ups away from other bases; an edge, once reported, would not come again.
bool FdTable::may_keep(const Entry& entry) const noexcept {
  return !entry.kept && !entry.hung_up && !exact_ && !any(entry.told & kOptions) &&
         backend_.keeps_unwanted();
}

void FdTable::be_exact() noexcept {
  if (exact_) return;
  exact_ = true;
  entries_.for_each([this](std::size_t number, Entry& entry) {
    if (entry.kept) take_back(static_cast<int>(number), entry);
  });
}

// Ends the registration. What is left of it if the descriptor was closed but has a duplicate shows
// when it is reported.
void FdTable::take_back(int fd, Entry& entry) noexcept {
  static_cast<void>(update(Change::remove, fd, entry, Events::none));
  begin_generation(entry);  // what is reported from now on is of no registration of ours
  entry.registered = entry.take_back = entry.hung_up = entry.kept = false;
  entry.told = Events::none;
  unlink_detached(entry);
}

// The file is gone: what watched it stays attached, but nothing of the number's next file is its.
void FdTable::lose(int fd, Entry& entry) noexcept {
  take_back(fd, entry);
  for_each_node(entry, [](Node& node) { node.lost = true; });
}

void FdTable::report_of_none(const Ready& ready) noexcept {
  if (ready.generation == Ready::kOwn) {
    backend_.take_own();
  } else {
    stale_ = true;
  }
}

void FdTable::unwanted(const Ready& ready, Entry& entry) noexcept {
  if (any(ready.what() & Ready::kGone)) {
    lose(ready.fd, entry);
    return;
  }
  if (any(ready.what() & Ready::kHangup)) entry.hung_up = true;
  if (entry.kept) entry.take_back = true;
  mark_dirty(ready.fd, entry);
}

void FdTable::mark_dirty(int fd, Entry& entry) noexcept {
  if (entry.dirty) return;
  if (dirty_.size() == dirty_.capacity()) {
    reconcile(fd, entry);
    return;
  }
  entry.dirty = true;
  dirty_.push_back(fd);
}

int FdTable::flush_slowly() noexcept {
  for (const int fd : dirty_) {
    Entry& entry = entries_[static_cast<std::size_t>(fd)];
    entry.dirty = false;
    reconcile(fd, entry);
  }
  dirty_.clear();
  return stale_ ? repair() : 0;
}

// Has the kernel report what is wanted, and no more.
void FdTable::reconcile(int fd, Entry& entry) noexcept {
  if (!entry.registered) return;
  Events all = wanted(entry);
  if (!any(all) && (entry.take_back || entry.hung_up)) {
    if (may_keep(entry)) {
      entry.kept = true;
      entry.take_back = false;
    } else {
      take_back(fd, entry);
    }
    return;
  }
  // A hang-up that nobody wants cannot be masked, and may pass: only changes are reported then.
  if (entry.hung_up && !any(all & Ready::kHangupMeans)) all |= Events::edge;
  entry.take_back = entry.hung_up = false;
  if (all == entry.told) return;
  // A one-shot that fired and whose descriptor is ready again: the registration is kept for when
  // it is attached again, which then costs a third of a new one.
  const int error = narrow(fd, entry, all);
  if (means_gone(error)) {
    lose(fd, entry);
  } else if (error != 0 && !any(all)) {
    take_back(fd, entry);  // or it would be reported again and again
  }
}

// Leaves behind a kernel set in which something is registered that cannot be named any more: a
// file that is open under another number, but not under the one it was registered with. If the
// kernel will not have a new set, the old one is as good as it was, and the next look tries again.
int FdTable::repair() noexcept {
  exact_ = true;
  int first_error = backend_.begin_rebuild();
  if (first_error != 0) return first_error;
  entries_.for_each([&](std::size_t number, Entry& entry) {
    if (!entry.registered || first_error != 0) return;
    const int fd = static_cast<int>(number);
    int error = update(Change::modify, fd, entry, entry.told & ~Events::exclusive);
    if (error == EINVAL && any(entry.told & Events::exclusive)) error = 0;  // it is there
    if (error == 0) error = update(Change::add, fd, entry, entry.told);
    if (error == 0 || error == EEXIST) return;
    if (!is_shortage(error)) {
      lose(fd, entry);  // as in register_all()
    } else {
      first_error = error;
    }
  });
  stale_ = first_error != 0;
  backend_.end_rebuild(first_error == 0);
  return first_error;
}

int FdTable::register_all() noexcept {
  int first_error = 0;
  entries_.for_each([&](std::size_t number, Entry& entry) {
    if (!entry.registered) return;
    const int fd = static_cast<int>(number);
    const int error = update(Change::add, fd, entry, entry.told);
    if (error == 0 || error == EEXIST) return;
    // What the kernel does not watch here is not the file that it watched before: the number was
    // closed, and may be the new kernel side's own now.
    if (!is_shortage(error)) {
      lose(fd, entry);
    } else if (first_error == 0) {
      first_error = error;
    }
  });
  stale_ = false;
  return first_error;
}

}  // namespace event_cpp::detail

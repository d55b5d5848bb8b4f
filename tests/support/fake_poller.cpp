// The rules of epoll_ctl(2) and epoll_wait(2), on files that are only numbers.
#include "support/fake_poller.hpp"

#include <cerrno>

#include "loop/fd_table.hpp"

namespace event_cpp::test {

using detail::ReadyEvent;

int FakePoller::open() {
  int fd = 0;
  while (is_open(fd)) ++fd;
  open_at(fd);
  return fd;
}

void FakePoller::open_at(int fd) {
  close(fd);
  files_by_number_[fd] = ++last_file_;
  states_[last_file_].numbers = 1;
}

void FakePoller::duplicate(int from, int to) {
  if (from == to) return;
  const File file = file_at(from);
  close(to);
  files_by_number_[to] = file;
  ++states_[file].numbers;
}

void FakePoller::close(int fd) {
  if (!is_open(fd)) return;
  const File file = file_at(fd);
  files_by_number_.erase(fd);
  if (--states_[file].numbers > 0) return;
  states_.erase(file);
  forget(set_, file);
  if (old_set_) forget(*old_set_, file);
}

void FakePoller::forget(Set& set, File file) {
  for (auto i = set.begin(); i != set.end();) i = i->first.second == file ? set.erase(i) : ++i;
}

void FakePoller::set_ready(int fd, Events ready) {
  states_[file_at(fd)].ready = ready;
  show_change(file_at(fd));
}

void FakePoller::hang_up(int fd) {
  states_[file_at(fd)].hung_up = true;
  show_change(file_at(fd));
}

void FakePoller::show_change(File file) {
  for (auto& [key, registration] : set_) {
    if (key.second == file) registration.reported = false;
  }
}

Events FakePoller::ready(int fd) const {
  const State& state = states_.at(file_at(fd));
  return state.hung_up ? detail::FdTable::kConditions : state.ready;
}

Events FakePoller::to_report(const Registration& registration, const State& state) const {
  if (any(registration.interest & Events::edge) && registration.reported) return Events::none;
  if (state.hung_up) return ReadyEvent::kHangupMeans | ReadyEvent::kHangup;
  return state.ready & registration.interest & detail::FdTable::kConditions;
}

std::vector<FakePoller::Report> FakePoller::reports() {
  std::vector<Report> result;
  for (auto& [key, registration] : set_) {
    const Events what = to_report(registration, states_.at(key.second));
    if (!any(what)) continue;
    registration.reported = true;
    result.push_back({{what, key.first, registration.generation}, key.second});
  }
  return result;
}

std::optional<Events> FakePoller::registered(int fd) const {
  if (!is_open(fd)) return std::nullopt;
  const auto found = set_.find({fd, file_at(fd)});
  return found != set_.end() ? std::optional(found->second.interest) : std::nullopt;
}

int FakePoller::add(int fd, std::uint32_t generation, Events interest) noexcept {
  if (const int error = begin_update(fd, true); error != 0) return error;
  const auto [position, added] = set_.insert({{fd, file_at(fd)}, {generation, interest, false}});
  return added ? 0 : EEXIST;
}

int FakePoller::modify(int fd, std::uint32_t generation, Events interest, bool) noexcept {
  if (const int error = begin_update(fd, true); error != 0) return error;
  const auto found = named().find({fd, file_at(fd)});
  if (found == named().end()) return ENOENT;
  if (any((interest | found->second.interest) & Events::exclusive)) return EINVAL;
  found->second = {generation, interest, false};
  return 0;
}

int FakePoller::remove(int fd) noexcept {
  if (const int error = begin_update(fd, false); error != 0) return error;
  return named().erase({fd, file_at(fd)}) == 1 ? 0 : ENOENT;
}

int FakePoller::begin_update(int fd, bool may_fail) noexcept {
  ++updates;
  if (may_fail && failure_.countdown > 0 && --failure_.countdown == 0) return failure_.error;
  return is_open(fd) ? 0 : EBADF;
}

int FakePoller::begin_rebuild() noexcept {
  if (rebuild_error_ != 0) return std::exchange(rebuild_error_, 0);
  ++rebuilds;
  old_set_ = std::exchange(set_, {});
  return 0;
}

void FakePoller::end_rebuild(bool keep) noexcept {
  if (!keep) set_ = std::move(*old_set_);
  old_set_.reset();
}

}  // namespace event_cpp::test

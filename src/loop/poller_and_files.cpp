#include "loop/poller_and_files.hpp"

#include <algorithm>
#include <cerrno>
#include <new>

namespace event_cpp::detail {
namespace {

constexpr Events kAlwaysTrue = Events::read | Events::write;

}  // namespace

std::vector<PollerAndFiles::File>::iterator PollerAndFiles::find(int fd) noexcept {
  return std::find_if(files_.begin(), files_.end(),
                      [fd](const File& file) { return file.fd == fd; });
}

// After the poller was asked to add it: `error` is what it said.
int PollerAndFiles::add_file(int error, int fd, std::uint32_t generation,
                             Events interest) noexcept {
  const auto known = find(fd);
  if (known != files_.end()) {
    if (error == EPERM && known->identity.is_still(fd)) return EEXIST;
    files_.erase(known);
  }
  if (error != EPERM) return error;
  File file{fd, generation, interest, {}};
  if (const int failed = FileIdentity::of(fd, file.identity); failed != 0) return failed;
  try {
    files_.push_back(file);
  } catch (const std::bad_alloc&) {
    return ENOMEM;
  }
  return 0;
}

int PollerAndFiles::modify_file(int fd, std::uint32_t generation, Events interest) noexcept {
  const auto file = find(fd);
  if (!file->identity.is_still(fd)) {
    files_.erase(file);
    return ENOENT;
  }
  *file = {fd, generation, interest, file->identity};
  return 0;
}

int PollerAndFiles::remove_file(int fd) noexcept {
  const auto file = find(fd);
  const bool is_same = file->identity.is_still(fd);
  files_.erase(file);
  return is_same ? 0 : ENOENT;
}

bool PollerAndFiles::is_any_ready() const noexcept {
  return std::any_of(files_.begin(), files_.end(),
                     [](const File& file) { return any(file.interest & kAlwaysTrue); });
}

int PollerAndFiles::wait_with_files(TimePoint deadline, bool block, ReadyBatch& batch) {
  const int error = poller_.wait(deadline, block && !is_any_ready(), batch);
  if (error == 0) report_files(batch);
  return error;
}

// Reports as many as there is room for, beginning where the last call ended, so that all get a
// turn.
void PollerAndFiles::report_files(ReadyBatch& batch) noexcept {
  for (std::size_t n = 0; n < files_.size() && !batch.full(); ++n) {
    if (next_ >= files_.size()) next_ = 0;
    File& file = files_[next_++];
    const Events what = file.interest & kAlwaysTrue;
    if (!any(what)) continue;
    const bool is_same = file.identity.is_still(file.fd);
    batch.push({is_same ? what : ReadyEvent::kGone, file.fd, file.generation});
    if (any(file.interest & Events::edge)) file.interest = Events::none;  // it never changes again
  }
}

}  // namespace event_cpp::detail

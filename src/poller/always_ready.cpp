#include "poller/always_ready.hpp"

#include <algorithm>
#include <cerrno>
#include <new>

namespace event_cpp::detail {

int AlwaysReady::update(int error, Change change, int fd, std::uint32_t generation,
                        Events wanted) noexcept {
  auto found = find(fd);
  const bool known = found != files_.end();
  const bool same = known && error == EPERM && found->identity.is_still(fd);
  if (known && (!same || change == Change::remove)) files_.erase(found);
  if (error != EPERM) return error;
  if (change == Change::add) return same ? EEXIST : add(fd, generation, wanted);
  if (!same) return ENOENT;
  if (change == Change::modify) *found = {fd, generation, wanted, found->identity};
  return 0;
}

bool AlwaysReady::is_any_ready() const noexcept {
  return std::any_of(files_.begin(), files_.end(), [](const File& file) {
    return any(file.wanted & (Events::read | Events::write));
  });
}

void AlwaysReady::report(ReadyBatch& batch) noexcept {
  for (std::size_t n = 0; n < files_.size() && !batch.full(); ++n) {
    if (next_ >= files_.size()) next_ = 0;
    File& file = files_[next_++];
    const Events what = file.wanted & (Events::read | Events::write);
    if (!any(what)) continue;
    const bool gone = !file.identity.is_still(file.fd);
    batch.push({gone ? ReadyEvent::kGone : what, file.fd, file.generation});
    if (any(file.wanted & Events::edge)) file.wanted = Events::none;  // it never changes again
  }
}

int AlwaysReady::add(int fd, std::uint32_t generation, Events wanted) noexcept {
  File file{fd, generation, wanted, {}};
  if (const int error = FileIdentity::of(fd, file.identity); error != 0) return error;
  try {
    files_.push_back(file);
  } catch (const std::bad_alloc&) {
    return ENOMEM;
  }
  return 0;
}

std::vector<AlwaysReady::File>::iterator AlwaysReady::find(int fd) noexcept {
  return std::find_if(files_.begin(), files_.end(),
                      [fd](const File& file) { return file.fd == fd; });
}

}  // namespace event_cpp::detail

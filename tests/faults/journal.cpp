#include "journal.hpp"

#include <sys/mman.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>

namespace event_cpp::faults {

Journal& Journal::open() {
  void* const shared =
      ::mmap(nullptr, sizeof(Journal), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (shared == MAP_FAILED) throw std::system_error(errno, std::system_category(), "mmap");
  return *::new (shared) Journal;
}

std::size_t Journal::size() const noexcept { return std::min(size_.load(), entries_.size()); }

bool Journal::anything_missed() const noexcept {
  return std::any_of(entries_.begin(), entries_.begin() + size(),
                     [](const Entry& entry) { return entry.error == 0; });
}

void Journal::print() const {
  for (std::size_t i = 0; i < size(); ++i) {
    const Entry& entry = entries_[i];
    if (entry.error == 0) {
      std::printf("missed %s\n", entry.what);
    } else if (entry.error == Journal::kUnknown) {
      std::printf("reported unknown %s\n", entry.what);
    } else {
      std::printf("reported %d %s\n", entry.error, entry.what);
    }
  }
}

}  // namespace event_cpp::faults

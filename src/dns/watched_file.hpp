// A file that is read again when it has changed.
#pragma once

#include <sys/stat.h>

#include <filesystem>
#include <optional>
#include <string>

#include "event/time.hpp"

namespace event_cpp::dns::detail {

class WatchedFile {
 public:
  explicit WatchedFile(std::filesystem::path path) : path_(std::move(path)) {}

  // The text, if it is another one than at the last applied(); empty if there is no such file, or
  // if it is no regular one. Looks at most once a second. Never waits for a writer, as one of a
  // FIFO. If it cannot be read now, the text that is in use stays in use. Errors: throws
  // std::system_error if there is none yet; std::bad_alloc.
  std::optional<std::string> changed(TimePoint now);
  // What changed() has returned is in use.
  void applied() noexcept {
    was_applied_ = true;
    applied_ = seen_;
  }
  // The next changed() looks.
  void look_soon() noexcept { next_look_ = TimePoint::min(); }

 private:
  // What tells a version of the file from another one.
  struct Version {
    bool there = false;
    dev_t device = 0;
    ino_t inode = 0;
    off_t size = 0;
    Duration modified{};
    Duration status_changed{};

    bool operator==(const Version&) const = default;
  };

  static Version version_of(const struct stat& status);
  std::optional<std::string> read();
  // What changed() does if it cannot say what is in the file.
  std::nullopt_t unreadable(int error);

  std::filesystem::path path_;
  TimePoint next_look_ = TimePoint::min();
  Version seen_;
  Version applied_;
  bool was_applied_ = false;
};

}  // namespace event_cpp::dns::detail

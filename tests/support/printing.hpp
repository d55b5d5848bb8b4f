// How GoogleTest shows the types of the library when an expectation fails.
#pragma once

#include <ostream>
#include <string>

#include "event/event.hpp"

namespace event_cpp {

inline std::string to_string(Backend backend) {
  switch (backend) {
    case Backend::automatic:
      return "automatic";
    case Backend::epoll:
      return "epoll";
    case Backend::kqueue:
      return "kqueue";
    case Backend::poll:
      return "poll";
    case Backend::none:
      return "none";
  }
  return "unknown";
}

inline std::string to_string(Events events) {
  std::string text;
  const auto add = [&](Events bit, const char* name) {
    if (!any(events & bit)) return;
    if (!text.empty()) text += '|';
    text += name;
    events &= ~bit;
  };
  add(Events::read, "read");
  add(Events::write, "write");
  add(Events::timeout, "timeout");
  add(Events::persist, "persist");
  add(Events::signal, "signal");
  add(Events::closed, "closed");
  add(Events::urgent, "urgent");
  add(Events::error, "error");
  add(Events::edge, "edge");
  add(Events::exclusive, "exclusive");
  if (any(events)) add(events, "unknown");
  return text.empty() ? "none" : text;
}

inline void PrintTo(Backend backend, std::ostream* out) { *out << to_string(backend); }
inline void PrintTo(Events events, std::ostream* out) { *out << to_string(events); }
inline void PrintTo(Errc code, std::ostream* out) { *out << make_error_code(code).message(); }
inline void PrintTo(Priority priority, std::ostream* out) {
  *out << (priority == Priority::high ? "high" : priority == Priority::middle ? "middle" : "low");
}

}  // namespace event_cpp

// Which backends this build has, and which one to use.
#include <array>
#include <cerrno>
#include <cstdlib>
#include <new>
#include <string>
#include <string_view>
#include <system_error>

#include "event/error.hpp"
#include "poller/make_pollers.hpp"
#include "sys/privileges.hpp"

namespace event_cpp::detail {
namespace {

struct Entry {
  Backend kind;
  std::unique_ptr<Poller> (*make)();
};

// Best first.
constexpr auto kCompiled = std::to_array<Entry>({
#if EVENT_HAVE_EPOLL
  {Backend::epoll, make_epoll},
#endif
#if EVENT_HAVE_KQUEUE
      {Backend::kqueue, make_kqueue},
#endif
      {Backend::poll, make_poll},
});

struct BackendName {
  Backend kind;
  std::string_view text;
};

// What EVENT_BACKEND may be. Not "none": a program that watches descriptors would fail with it.
constexpr auto kNames = std::to_array<BackendName>({
    {Backend::automatic, "automatic"},
    {Backend::epoll, "epoll"},
    {Backend::kqueue, "kqueue"},
    {Backend::poll, "poll"},
});

std::string_view name_of(Backend kind) noexcept {
  if (kind == Backend::none) return "none";
  for (const BackendName& name : kNames) {
    if (name.kind == kind) return name.text;
  }
  return "unknown";
}

// What EVENT_BACKEND asks for; automatic if it is not set, or not to be trusted.
Backend from_environment() {
  if (has_borrowed_privileges()) return Backend::automatic;
  const char* const value = std::getenv("EVENT_BACKEND");
  if (value == nullptr || *value == '\0') return Backend::automatic;
  for (const BackendName& name : kNames) {
    if (name.text == value) return name.kind;
  }
  throw std::system_error(EINVAL, std::generic_category(),
                          "EVENT_BACKEND=" + std::string(value) + ": no such backend");
}

}  // namespace

std::vector<Backend> compiled_pollers() {
  std::vector<Backend> kinds;
  kinds.reserve(kCompiled.size());
  for (const Entry& entry : kCompiled) kinds.push_back(entry.kind);
  return kinds;
}

std::unique_ptr<Poller> make_poller(Backend kind) {
  if (kind == Backend::none) return make_none();
  for (const Entry& entry : kCompiled) {
    if (entry.kind == kind) return entry.make();
  }
  throw std::system_error(make_error_code(Errc::unsupported),
                          "backend " + std::string(name_of(kind)));
}

std::unique_ptr<Poller> choose_poller(Backend wanted) {
  if (wanted == Backend::automatic) wanted = from_environment();
  if (wanted != Backend::automatic) return make_poller(wanted);
  for (const Entry& entry : kCompiled) {
    try {
      return entry.make();
    } catch (const std::system_error&) {
      // Not on this kernel, or not in this container: the next one, and the last one's error.
      if (entry.kind == kCompiled.back().kind) throw;
    }
  }
  throw std::system_error(make_error_code(Errc::unsupported), "no backend");
}

}  // namespace event_cpp::detail

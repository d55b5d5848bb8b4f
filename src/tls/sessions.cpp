#include "tls/sessions.hpp"

#include <algorithm>
#include <utility>

namespace event_cpp::tls::detail {
namespace {

constexpr std::size_t kOfAHost = 8;

}  // namespace

void Sessions::keep(const std::string& key, SessionPtr session) noexcept {
  if (most_ == 0 || session == nullptr) return;
  const std::lock_guard lock(mutex_);
  try {
    entries_.push_front({key, std::move(session)});
  } catch (const std::bad_alloc&) {
    return;
  }
  const bool serves_once =
      SSL_SESSION_get_protocol_version(entries_.front().session.get()) >= TLS1_3_VERSION;
  std::size_t left = serves_once ? kOfAHost : 1;
  std::erase_if(entries_, [&](const Entry& entry) {
    if (entry.key != key) return false;
    if (left == 0) return true;
    --left;
    return false;
  });
  if (entries_.size() > most_) entries_.pop_back();
}

SessionPtr Sessions::take(const std::string& key) noexcept {
  const std::lock_guard lock(mutex_);
  const auto found = std::find_if(entries_.begin(), entries_.end(),
                                  [&](const Entry& entry) { return entry.key == key; });
  if (found == entries_.end()) return nullptr;
  SSL_SESSION* const session = found->session.get();
  if (SSL_SESSION_get_protocol_version(session) < TLS1_3_VERSION) {
    SSL_SESSION_up_ref(session);
    entries_.splice(entries_.begin(), entries_, found);
    return SessionPtr(session);
  }
  SessionPtr taken = std::move(found->session);
  entries_.erase(found);
  return taken;
}

}  // namespace event_cpp::tls::detail

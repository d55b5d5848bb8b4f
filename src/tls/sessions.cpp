#include "tls/sessions.hpp"

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <ctime>
#include <limits>
#include <utility>

namespace event_cpp::tls::detail {
namespace {

constexpr std::size_t kOfAHost = 8;

// In the part of a session that is for programs: it is in tickets, too.
using Seconds = std::int64_t;  // as those of time(2)

}  // namespace

void note_end(const SSL* ssl, SSL_SESSION* session) noexcept {
  STACK_OF(X509)* const chain = SSL_get0_verified_chain(ssl);
  if (chain == nullptr) return;
  const Seconds now = ::time(nullptr);
  Seconds end = std::numeric_limits<Seconds>::max();
  for (int i = 0; i < sk_X509_num(chain); ++i) {
    constexpr Seconds kDay = 86400;
    int days = 0;
    int seconds = 0;
    const ASN1_TIME* const not_after = X509_get0_notAfter(sk_X509_value(chain, i));
    // Counted from a moment after `now`: the end may be a second early, and is never late. What is
    // no time has passed.
    const bool is_time = ASN1_TIME_diff(&days, &seconds, nullptr, not_after) == 1;
    end = is_time ? std::min(end, now + days * kDay + seconds) : 0;
  }
  SSL_SESSION_set1_ticket_appdata(session, &end, sizeof end);
}

bool holds(SSL_SESSION* session) noexcept {
  void* data = nullptr;
  std::size_t size = 0;
  Seconds end = 0;
  if (SSL_SESSION_get0_ticket_appdata(session, &data, &size) != 1 || size != sizeof end)
    return true;
  std::memcpy(&end, data, sizeof end);
  return ::time(nullptr) < end;  // as OpenSSL compares
}

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
  std::erase_if(entries_, [&](const Entry& entry) {
    return entry.key == key && !holds(entry.session.get());
  });
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

// Authority: certificates for tests.
#pragma once

#include <chrono>
#include <memory>
#include <string>
#include <vector>

#include "event/tls/context.hpp"

namespace event_cpp::tls::test {

// An authority of a test's own, which nobody else trusts: a root, and an authority in between that
// it has signed, which signs all others. Its keys are in memory only. Names may be IP addresses.
// Errors: its functions throw Error, Errc::internal; std::bad_alloc.
struct EVENT_API Authority {
  Authority();

  // A client that trusts this authority and nobody else.
  Context trusting() const;
  // The root, for ClientOptions::trust and the like.
  std::string root_pem() const;

  // A certificate for these names, for servers and clients, from `starts` after now on. Its common
  // name is the first one.
  Pem issue(std::vector<std::string> names, Duration starts = {},
            Duration lasts = std::chrono::hours(1)) const;
  // Without that of the authority in between.
  Pem without_chain(std::vector<std::string> names) const;
  // For code that is signed, and neither for servers nor for clients.
  Pem wrong_purpose(std::vector<std::string> names) const;
  static Pem self_signed(std::vector<std::string> names);

 private:
  struct State;
  std::shared_ptr<const State> state_;
};

}  // namespace event_cpp::tls::test

// Authority: certificates for tests.
#pragma once

#include <chrono>
#include <memory>
#include <string>
#include <vector>

#include "event/tls/context.hpp"

namespace event_cpp::tls::test {

// A certificate authority for one test: a root, and an intermediate authority that issues the
// certificates. The keys are in memory only. Names may be IP addresses. Errors: its functions throw
// Error, Errc::internal; std::bad_alloc.
struct EVENT_API Authority {
  Authority();

  // A client's context that trusts this authority alone.
  Context trusting() const;
  // The root certificate, for ClientOptions::trust and ServerOptions::client_trust.
  std::string root_pem() const;

  // Issues a certificate with these names, for servers and clients. It is valid from now + `starts`
  // (if zero: from a minute ago) until now + `starts` + `lasts`. The first name is also its common
  // name. The chain contains the intermediate certificate.
  Pem issue(std::vector<std::string> names, Duration starts = {},
            Duration lasts = std::chrono::hours(1)) const;
  // The same without the intermediate certificate: Errc::incomplete_chain.
  Pem without_chain(std::vector<std::string> names) const;
  // The same for code signing alone: Errc::wrong_purpose.
  Pem wrong_purpose(std::vector<std::string> names) const;
  // A certificate that is signed by its own key: Errc::self_signed.
  static Pem self_signed(std::vector<std::string> names);

 private:
  struct State;
  std::shared_ptr<const State> state_;
};

}  // namespace event_cpp::tls::test

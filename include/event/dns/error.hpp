// The errors of name resolution.
#pragma once

#include <system_error>

#include "event/detail/export.hpp"

namespace event_cpp::dns {

enum class Errc {
  none,
  no_such_name,   // the name does not exist: NXDOMAIN
  no_address,     // the name exists, but has no address of the requested family
  server_failed,  // the last server answered with an error: SERVFAIL, REFUSED
  refused,        // the last server cannot be reached: connection refused or reset, no route
  timed_out,      // no answer after Options::tries, or within Options::limit
  bad_answer,     // the last server's answer is malformed, or has over 1,024 records or 16 aliases
  bad_name,       // not a valid host name
  no_servers,     // neither Options nor resolv.conf names a server
  too_many        // 65,536 queries are waiting already: see Options::at_once
};

// The category of these codes, named "dns". Codes compare equal to the condition of the same
// meaning: timed_out, and bad_name to std::errc::invalid_argument; no_such_name and no_address to
// net::no_such_name().
EVENT_API const std::error_category& category() noexcept;

// Lets Errc convert to std::error_code, and compare with one.
inline std::error_code make_error_code(Errc code) noexcept {
  return {static_cast<int>(code), category()};
}

}  // namespace event_cpp::dns

template <>
struct std::is_error_code_enum<event_cpp::dns::Errc> : std::true_type {};

// How a lookup fails.
#pragma once

#include <string>
#include <system_error>

#include "event/dns/error.hpp"
#include "net/printable.hpp"

namespace event_cpp::dns::detail {

[[noreturn]] inline void fail(Errc code, const std::string& name) {
  throw std::system_error(make_error_code(code),
                          name.empty() ? "\"\"" : net::detail::printable(name));
}

}  // namespace event_cpp::dns::detail

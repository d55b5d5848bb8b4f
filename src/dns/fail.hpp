// How a lookup fails.
#pragma once

#include <string>
#include <system_error>

#include "event/dns/error.hpp"

namespace event_cpp::dns::detail {

[[noreturn]] inline void fail(Errc code, const std::string& name) {
  throw std::system_error(make_error_code(code), name.empty() ? "\"\"" : name);
}

}  // namespace event_cpp::dns::detail

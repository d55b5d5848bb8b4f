// Errors of this machine that pass.
#pragma once

#include <algorithm>
#include <cerrno>
#include <initializer_list>
#include <system_error>

namespace event_cpp::dns::detail {

inline bool is_one_of(std::initializer_list<int> numbers, const std::error_code& error) {
  return error.category() == std::system_category() &&
         std::find(numbers.begin(), numbers.end(), error.value()) != numbers.end();
}

// There is no descriptor or memory left, or no more of them can be watched: nothing is said about
// the other side.
inline bool is_shortage(const std::error_code& error) {
  return is_one_of({EMFILE, ENFILE, ENOMEM, ENOBUFS, ENOSPC, EAGAIN}, error);
}

// This machine has no way to the address: another address may do, and this one later.
inline bool is_no_way(const std::error_code& error) {
  return is_one_of({ENETUNREACH, ENETDOWN, EADDRNOTAVAIL, EAFNOSUPPORT, EACCES, EPERM}, error);
}

}  // namespace event_cpp::dns::detail

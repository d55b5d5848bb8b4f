// Errors of this machine that pass.
#pragma once

#include <algorithm>
#include <cerrno>
#include <iterator>
#include <system_error>

namespace event_cpp::dns::detail {

// There is no descriptor, memory or port left: nothing is said about the other side.
inline bool is_shortage(const std::error_code& error) {
  const int own[] = {EMFILE, ENFILE, ENOMEM, ENOBUFS, EAGAIN};
  return error.category() == std::system_category() &&
         std::find(std::begin(own), std::end(own), error.value()) != std::end(own);
}

// This machine has no way to the address: another address may do, and this one later.
inline bool is_no_way(const std::error_code& error) {
  const int own[] = {ENETUNREACH, ENETDOWN, EADDRNOTAVAIL, EAFNOSUPPORT, EACCES, EPERM};
  return error.category() == std::system_category() &&
         std::find(std::begin(own), std::end(own), error.value()) != std::end(own);
}

}  // namespace event_cpp::dns::detail

#include "net/bind.hpp"

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <string>
#include <system_error>

namespace event_cpp::net::detail {
namespace {

// Nobody answers at the socket that is there.
bool is_left_behind(const std::string& path, const Address& address, int type) {
  struct stat status {};
  if (::lstat(path.c_str(), &status) != 0 || !S_ISSOCK(status.st_mode)) {
    return false;  // another file, which refuses as well
  }
  const Socket probe(::socket(AF_UNIX, type, 0));
  ::fcntl(probe.fd(), F_SETFL, O_NONBLOCK);
  ::fcntl(probe.fd(), F_SETFD, FD_CLOEXEC);
  return ::connect(probe.fd(), address.data(), address.size()) < 0 && errno == ECONNREFUSED;
}

}  // namespace

void bind_anew(Socket& socket, const Address& address, int type) {
  const bool has_path = address.is_unix() && !address.is_abstract() && socket.kernel() == nullptr;
  try {
    socket.bind(address);
  } catch (const std::system_error& error) {
    const std::string path(has_path ? address.path() : "");
    if (!has_path || error.code() != std::errc::address_in_use ||
        !is_left_behind(path, address, type)) {
      throw;
    }
    ::unlink(path.c_str());
    socket.bind(address);
  }
}

}  // namespace event_cpp::net::detail

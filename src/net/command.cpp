#include "event/net/command.hpp"

#include <sys/wait.h>

#include "event/net/process.hpp"

namespace event_cpp::net {

Stdio Stdio::append(std::string path) {
  Stdio stdio(Kind::file, std::move(path));
  stdio.appends_ = true;
  return stdio;
}

Stdio Stdio::descriptor(int fd) {
  Stdio stdio(Kind::descriptor);
  stdio.fd_ = fd;
  return stdio;
}

Command Command::shell(std::string script, std::vector<std::string> arguments) {
  // What follows the script is "$0", and then "$1".
  Command command("/bin/sh", {"-c", std::move(script), "sh"});
  for (std::string& argument : arguments) command.arguments.push_back(std::move(argument));
  command.name = "sh";
  command.group = Group::own;
  return command;
}

Exit Exit::of(int status) noexcept {
  Exit exit;
  if (status == -1) return exit;
  exit.known = true;
  if (WIFSIGNALED(status)) {
    exit.signal = WTERMSIG(status);
#ifdef WCOREDUMP
    exit.dumped_core = WCOREDUMP(status);
#endif
  } else {
    exit.code = WEXITSTATUS(status);
  }
  return exit;
}

std::string Exit::text() const {
  if (!known) return "ended in an unknown way";
  if (signal == 0) return "exited with " + std::to_string(code);
  return "killed by signal " + std::to_string(signal) + (dumped_core ? ", core dumped" : "");
}

}  // namespace event_cpp::net

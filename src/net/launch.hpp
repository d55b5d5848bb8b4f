// Launch: a Command on its way to a process.
#pragma once

#include <string>
#include <vector>

#include "net/spawn.hpp"

namespace event_cpp::net::detail {

class Launch {
 public:
  // Opens what the child is to have. Errors: throws SpawnError, std::bad_alloc.
  explicit Launch(const Command& command);
  Launch(const Launch&) = delete;
  Launch& operator=(const Launch&) = delete;

  // Starts it. Once. Errors: throws SpawnError, std::bad_alloc; then there is no child.
  Started start();

  // This process's ends of the child's pipes.
  UniqueFd in;
  UniqueFd out;
  UniqueFd err;
  UniqueFd terminal;

 private:
  void check_descriptors() const;
  void set_arguments();
  void set_environment();
  void set_candidates();
  void open_terminal();
  void add_stream(int number, const Stdio& stdio);
  int open_file(int number, const Stdio& stdio);
  int add_pipe(int number);
  int own(int fd, Step step, const std::string& path);
  void add_moves();
  [[noreturn]] void fail(const Failure& failure) const;
  std::string from_directory(const std::string& path) const;
  std::string why_exec_failed(int error, std::string& path) const;

  const Command& command_;
  Plan plan_;
  std::vector<std::string> texts_;  // of the environment
  std::vector<char*> arguments_;
  std::vector<char*> environment_;
  std::string search_path_;
  std::vector<std::string> candidates_;
  std::vector<const char*> candidate_list_;
  std::vector<UniqueFd> opened_;  // the child's ends
  std::vector<Move> moves_;
  std::vector<Limit> limits_;
};

}  // namespace event_cpp::net::detail

// Puts the echo servers under load, each on each backend in turn: thousands of connections, each of
// which knows every byte that must come back, and most of which behave badly. Exits with 0 if every
// promise was kept, 1 if one was broken, and 77 if the backend is not to be had here.
//
//   event_load --quick --backend epoll --server coroutines

#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdint>
#include <exception>
#include <iostream>
#include <optional>
#include <string>
#include <vector>

#include "examples/server.hpp"
#include "load/report.hpp"
#include "load/run.hpp"
#include "support/process.hpp"
#include "support/usable_backends.hpp"

namespace {

constexpr int kSkipped = 77;

struct Choice {
  load::RunOptions run;
  double minutes = 5;
  bool quick = false;
  std::string backend = "all";
  std::string server = "all";
  std::string program;  // in the place of the servers
};

// A thread of the library keeps memory for later coroutines and reads: 64 KiB of blocks of each
// size that connections use, of which there are three at most, one of 88 bytes and others of about
// 300, and eight buffers.
constexpr load::Reserve kReserve{.heap = {.bytes = 11 * (std::uint64_t{64} << 10), .blocks = 1200},
                                 .buffers = 8};

std::optional<int> read_command_line(int argc, char** argv, Choice& choice) {
  CLI::App app("Puts the echo server under load.");
  app.add_option("--minutes", choice.minutes, "How long, for each server on each backend")
      ->capture_default_str()
      ->check(CLI::Range(0.05, 1440.0));
  auto* connections = app.add_option("--connections", choice.run.connections,
                                     "How many clients there are; a few of them are "
                                     "between two connections at any time")
                          ->capture_default_str()
                          ->check(CLI::Range(50, 100'000));
  app.add_option("--backend", choice.backend, "One, or all that are to be had")
      ->capture_default_str()
      ->check(CLI::IsMember({"all", "epoll", "poll"}));
  app.add_flag("--quick", choice.quick, "A few seconds with some hundred connections");
  app.add_option("--seed", choice.run.crowd.seed, "Of everything that is drawn at random");
  app.add_option("--server", choice.server, "The one by callbacks, the one in coroutines, or all")
      ->capture_default_str()
      ->check(CLI::IsMember({"all", "callbacks", "coroutines"}));
  app.add_option("--program", choice.program, "Another server, in the place of these");
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : 1;
  }
  choice.run.time = std::chrono::milliseconds(static_cast<long>(choice.minutes * 60'000));
  if (!choice.quick) return std::nullopt;
  if (connections->count() == 0) choice.run.connections = 300;
  choice.run.time = std::chrono::milliseconds(3000);
  choice.run.rounds = 2;
  choice.run.crowd.hopeless = 1;
  choice.run.crowd.patience = std::chrono::seconds(60);
  choice.run.crowd.scale = 0.2;
  return std::nullopt;
}

std::vector<std::string> backends_to_run(const std::string& chosen) {
  std::vector<std::string> names;
  for (const event::Backend backend : event_cpp::test::usable_backends()) {
    const std::string name = examples_test::name_of(backend);
    if (chosen == "all" || chosen == name) names.push_back(name);
  }
  return names;
}

std::vector<load::ServerProgram> servers_to_run(const Choice& choice) {
  if (!choice.program.empty()) return {{choice.program, choice.program, {}}};
  std::vector<load::ServerProgram> servers;
  if (choice.server != "coroutines") {
    servers.push_back({"callbacks", examples_test::example("echo_server"), {}});
  }
  if (choice.server != "callbacks") {
    servers.push_back({"coroutines", EVENT_COROUTINE_SERVER, kReserve});
  }
  return servers;
}

// Each side needs one for each connection, and some for itself and for those who come late.
bool has_descriptors_for(std::size_t connections) {
  const std::size_t needed = connections + connections / 10 + 100;
  const std::size_t allowed = event_cpp::test::raise_descriptor_limit();
  if (allowed >= needed) return true;
  std::cerr << "event_load: " << connections << " connections need " << needed
            << " descriptors, and the system allows " << allowed << '\n';
  return false;
}

// Whatever happens, this program ends, and the server with it.
void end_in_any_case(const Choice& choice, std::size_t runs) {
  constexpr std::chrono::minutes kApartFromRounds{20};
  const auto each = std::chrono::duration_cast<std::chrono::seconds>(choice.run.time) * 2;
  (void)::alarm(static_cast<unsigned>((each + kApartFromRounds).count()) *
                static_cast<unsigned>(runs));
}

int run(const Choice& choice) {
  const std::vector<std::string> backends = backends_to_run(choice.backend);
  if (backends.empty()) {
    std::cerr << "event_load: no " << choice.backend << " here\n";
    return kSkipped;
  }
  if (!has_descriptors_for(choice.run.connections)) return 1;
  const std::vector<load::ServerProgram> servers = servers_to_run(choice);
  end_in_any_case(choice, backends.size() * servers.size());
  std::cerr << "seed " << choice.run.crowd.seed << '\n';
  std::vector<load::Report> reports;
  for (const load::ServerProgram& server : servers) {
    for (const std::string& backend : backends) {
      reports.push_back(load::Run(choice.run, server, backend).carry_out());
    }
  }
  load::print(std::cout, reports);
  return std::all_of(reports.begin(), reports.end(),
                     [](const load::Report& report) { return report.tally.failed == 0; })
             ? 0
             : 1;
}

}  // namespace

int main(int argc, char** argv) {
  Choice choice;
  choice.run.meter = EVENT_FAULTS_LIBRARY;
  if (const auto exit_code = read_command_line(argc, argv, choice)) return *exit_code;
  try {
    return run(choice);
  } catch (const std::exception& error) {
    std::cerr << "event_load: " << error.what() << '\n';
    return 1;
  }
}

// A program to be run while its calls fail: one of its acts, over one backend.
//   fault_program BACKEND ACT
//   fault_program acts        names them
// Ends with 0 if nothing is lost and nothing leaks, 1 if so, 3 if it has given up with an error:
// what fails twice. Says on standard output what was reported to it and what it has missed.
#include <csignal>
#include <cstdio>
#include <exception>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>

#include "event/net/connect.hpp"
#include "other_acts.hpp"
#include "parts_act.hpp"
#include "server_act.hpp"
#include "support/process.hpp"

namespace event_cpp::faults {
namespace {

constexpr int kLost = 1;
constexpr int kWrongUse = 2;
constexpr int kGaveUp = 3;

void run_server_act(Journal& journal, Backend backend) {
  std::optional<Exempt> exempt(std::in_place);
  ServerAct act(journal, backend);
  exempt.reset();
  act.run();
}

void run_net_act(Journal& journal, Backend backend) {
  net::detail::set_linked_resolver(nullptr);  // so that the system is asked for names
  run_parts(journal, backend, net_act());
}

void run_process_act(Journal& journal, Backend backend) {
  try {
    run_parts(journal, backend, process_act());
  } catch (const GivenUp&) {
    expect_no_children(journal);
    throw;
  }
  expect_no_children(journal);
}

#ifdef EVENT_TEST_DNS
void run_dns_act(Journal& journal, Backend backend) { run_parts(journal, backend, dns_act()); }
#endif

#ifdef EVENT_TEST_TLS
void run_tls_act(Journal& journal, Backend backend) { run_parts(journal, backend, tls_act()); }
#endif

const std::map<std::string, Backend> kBackends = {
    {"automatic", Backend::automatic}, {"epoll", Backend::epoll}, {"poll", Backend::poll}};

struct ActOfProgram {
  void (*run)(Journal&, Backend);
  void (*prepare)() = nullptr;  // makes what is made once in a process, while nothing fails
};

const std::map<std::string, ActOfProgram> kActs = {
    {"server", {run_server_act}},
    {"fork", {run_fork_act}},
    {"embedded", {run_embedded_act}},
    {"repair", {run_repair_act}},
    {"rest", {run_rest_act}},
    {"net", {run_net_act}},
    {"process", {run_process_act}},
#ifdef EVENT_TEST_DNS
    {"dns", {run_dns_act}},
#endif
#ifdef EVENT_TEST_TLS
    {"tls", {run_tls_act, prepare_tls}},
#endif
};

// What the first exception of a program allocates stays.
void throw_once() {
  try {
    throw std::system_error(ENOMEM, std::system_category());
  } catch (const std::system_error&) {
  }
}

int run(const ActOfProgram& act, Backend backend) {
  std::optional<Exempt> exempt(std::in_place);
  throw_once();
  if (act.prepare != nullptr) act.prepare();
  Journal& journal = Journal::open();
  std::set<int> before = test::open_descriptors();
  const std::int64_t blocks_before = blocks();
  const char* gave_up = nullptr;
  exempt.reset();
  try {
    act.run(journal, backend);
  } catch (const GivenUp& given_up) {
    gave_up = given_up.step;
  }
  exempt.emplace();
  const std::int64_t blocks_more = blocks() - blocks_before;
  journal.expect(test::open_descriptors() == before, "every descriptor to be closed");
  journal.print();
  std::printf("blocks %lld\n", static_cast<long long>(blocks_more));
  if (gave_up != nullptr) std::printf("gave up: %s\n", gave_up);
  std::fflush(stdout);
  return gave_up != nullptr ? kGaveUp : journal.anything_missed() ? kLost : 0;
}

}  // namespace
}  // namespace event_cpp::faults

int main(int argc, char** argv) {
  using namespace event_cpp::faults;
  std::optional<Exempt> exempt(std::in_place);
  if (argc == 2 && std::string_view(argv[1]) == "acts") {
    for (const auto& [name, act] : kActs) std::printf("%s\n", name.c_str());
    return 0;
  }
  const auto backend = kBackends.find(argc == 3 ? argv[1] : "");
  const auto act = kActs.find(argc == 3 ? argv[2] : "");
  if (backend == kBackends.end() || act == kActs.end()) {
    std::fprintf(stderr, "fault_program: expected BACKEND ACT\n");
    return kWrongUse;
  }
  sigset_t blocked;
  ::sigemptyset(&blocked);
  ::sigaddset(&blocked, SIGUSR2);
  ::pthread_sigmask(SIG_BLOCK, &blocked, nullptr);
  exempt.reset();
  const int status = run(act->second, backend->second);
  exempt.emplace();
  return status;
}

#include "load/watched_server.hpp"

#include <sys/prctl.h>
#include <sys/resource.h>

#include <algorithm>
#include <cinttypes>
#include <csignal>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <stdexcept>
#include <system_error>

namespace load {

using HeapReport = event_cpp::faults::Report;
using examples_test::ChildProcess;
using examples_test::throw_errno;

WatchedServer::Counters::Counters() : fd_(::memfd_create("heap", MFD_CLOEXEC)) {
  if (!fd_ || ::ftruncate(fd_.get(), sizeof(HeapReport)) != 0) throw_errno("memfd_create");
  void* memory =
      ::mmap(nullptr, sizeof(HeapReport), PROT_READ | PROT_WRITE, MAP_SHARED, fd_.get(), 0);
  if (memory == MAP_FAILED) throw_errno("mmap");
  mapped_ = static_cast<HeapReport*>(memory);
}

WatchedServer::Counters::~Counters() { (void)::munmap(mapped_, sizeof(HeapReport)); }

std::string WatchedServer::Counters::path() const {
  return "/proc/" + std::to_string(::getpid()) + "/fd/" + std::to_string(fd_.get());
}

WatchedServer::WatchedServer(const std::string& program, const std::string& backend,
                             const std::string& meter) {
  ChildProcess::Options how;
  how.environment["EVENT_BACKEND"] = backend;
  if (!meter.empty()) {
    counters_.emplace();
    how.environment["LD_PRELOAD"] = meter;
    how.environment["EVENT_FAULT_REPORT"] = counters_->path();
  }
  // However this program ends, the server does not outlive it.
  how.before_exec = [] { (void)::prctl(PR_SET_PDEATHSIG, SIGKILL); };
  // With an idle timeout there is a deadline for each connection; it is too far away to be met.
  process_ =
      std::make_unique<ChildProcess>(std::vector<std::string>{program, "0", "--idle", "24h"}, how);

  const std::string line = process_->read_line().value_or("");
  if (std::sscanf(line.c_str(), "listening on port %" SCNu16, &port_) != 1) {
    throw std::runtime_error(program + " says '" + line + "' " + process_->errors());
  }
}

std::optional<Heap> WatchedServer::heap() const {
  if (!counters_) return std::nullopt;
  return Heap{.bytes = static_cast<std::uint64_t>((**counters_).bytes.load()),
              .blocks = static_cast<std::uint64_t>((**counters_).blocks.load())};
}

bool WatchedServer::sleeping() const {
  std::ifstream stat("/proc/" + std::to_string(process_->pid()) + "/stat");
  std::string line;
  std::getline(stat, line);
  // After the name, which is in brackets.
  const std::size_t end = line.rfind(')');
  return end != std::string::npos && line.compare(end, 3, ") S") == 0;
}

std::uint64_t WatchedServer::sleeps() const {
  std::ifstream status("/proc/" + std::to_string(process_->pid()) + "/status");
  const std::string wanted = "voluntary_ctxt_switches:";
  for (std::string line; std::getline(status, line);) {
    if (line.rfind(wanted, 0) == 0) return std::stoull(line.substr(wanted.size()));
  }
  throw std::runtime_error("no " + wanted + " in the server's status");
}

WatchedServer::Descriptors WatchedServer::descriptors() const {
  Descriptors found;
  const std::string path = "/proc/" + std::to_string(process_->pid()) + "/fd";
  for (const auto& entry : std::filesystem::directory_iterator(path)) {
    std::error_code closed_meanwhile;
    const bool kept =
        EVENT_CHECK_DESCRIPTORS && std::filesystem::read_symlink(entry, closed_meanwhile) == "/";
    ++(kept ? found.kept : found.count);
    found.highest = std::max<std::size_t>(found.highest, std::stoul(entry.path().filename()));
  }
  return found;
}

void WatchedServer::limit_descriptors(std::size_t count) const {
  rlimit limit{};
  if (::prlimit(process_->pid(), RLIMIT_NOFILE, nullptr, &limit) != 0) throw_errno("prlimit");
  limit.rlim_cur = std::min<rlim_t>(count, limit.rlim_max);
  if (::prlimit(process_->pid(), RLIMIT_NOFILE, &limit, nullptr) != 0) throw_errno("prlimit");
}

std::optional<ServerStatistics> WatchedServer::stop() {
  process_->signal(SIGTERM);
  if (process_->wait() != 0) return std::nullopt;
  ServerStatistics all;
  const int read = std::sscanf(process_->output().c_str(),
                               "connections %" SCNu64 ", received %" SCNu64 " bytes, sent %" SCNu64
                               " bytes, errors %" SCNu64 ", idle closes %" SCNu64,
                               &all.connections, &all.received, &all.sent, &all.errors, &all.idle);
  return read == 5 ? std::optional(all) : std::nullopt;
}

}  // namespace load

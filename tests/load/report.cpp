#include "load/report.hpp"

#include <algorithm>
#include <functional>
#include <iomanip>
#include <ostream>
#include <sstream>

namespace load {

namespace {

std::string grouped(std::uint64_t number) {
  std::string digits = std::to_string(number);
  for (auto i = static_cast<std::ptrdiff_t>(digits.size()) - 3; i > 0; i -= 3) {
    digits.insert(static_cast<std::size_t>(i), ",");
  }
  return digits;
}

std::string decimal(double value, int places, const char* unit) {
  std::ostringstream out;
  out << std::fixed << std::setprecision(places) << value << unit;
  return out.str();
}

double ratio(std::chrono::milliseconds part, std::chrono::milliseconds whole) {
  return whole.count() == 0
             ? 0
             : static_cast<double>(part.count()) / static_cast<double>(whole.count());
}

// Requires: sorted.
std::string latency(const std::vector<std::uint32_t>& sorted, double share) {
  if (sorted.empty()) return "-";
  const auto last = static_cast<double>(sorted.size() - 1);
  return decimal(sorted[static_cast<std::size_t>(last * share)] / 1000.0, 2, " ms");
}

std::string text_of(const Checkpoint& checkpoint) {
  std::string text = checkpoint.heap ? grouped(checkpoint.heap->bytes) + " B in " +
                                           grouped(checkpoint.heap->blocks)
                                     : "not counted";
  return text + "; " + grouped(checkpoint.resident_kib) + " KiB";
}

std::string text_of(const Calm& calm) {
  return decimal(100 * calm.cpu, 1, " %, ") + decimal(calm.wake_ups, 1, " wake-ups a second");
}

using Reports = std::vector<Report>;

void row(std::ostream& out, const Reports& reports, const std::string& name,
         const std::function<std::string(const Report&)>& cell) {
  out << "| " << name << " |";
  for (const Report& report : reports) out << ' ' << cell(report) << " |";
  out << '\n';
}

void print_work(std::ostream& out, const Reports& all) {
  row(out, all, "clients", [](const Report& r) { return grouped(r.connections); });
  row(out, all, "connected at once, least and most",
      [](const Report& r) { return grouped(r.least_held) + " to " + grouped(r.most_held); });
  row(out, all, "connections made", [](const Report& r) { return grouped(r.tally.connections); });
  row(out, all, "bytes echoed", [](const Report& r) { return grouped(r.tally.received); });
  row(out, all, "messages answered", [](const Report& r) { return grouped(r.tally.messages); });
  row(out, all, "ended in order", [](const Report& r) { return grouped(r.tally.orderly); });
  row(out, all, "half-closed with answers to come",
      [](const Report& r) { return grouped(r.tally.half_closes); });
  row(out, all, "resets", [](const Report& r) { return grouped(r.tally.resets); });
  row(out, all, "stalls; sending stopped by the server",
      [](const Report& r) { return grouped(r.tally.stalls) + "; " + grouped(r.tally.blocked); });
  row(out, all, "shut out for want of descriptors, let in later",
      [](const Report& r) { return grouped(r.shut_out); });
}

void print_costs(std::ostream& out, const Reports& all) {
  for (const auto& [name, share] : {std::pair{"p50", 0.5}, std::pair{"p99", 0.99},
                                    std::pair{"p99.9", 0.999}, std::pair{"max", 1.0}}) {
    row(out, all, std::string("round trip, ") + name,
        [share = share](const Report& r) { return latency(r.tally.latencies, share); });
  }
  row(out, all, "server's processor time while working",
      [](const Report& r) { return decimal(100 * ratio(r.work_cpu, r.work_time), 1, " %"); });
  row(out, all, "with all connections idle", [](const Report& r) { return text_of(r.idle); });
  row(out, all, "without descriptors", [](const Report& r) { return text_of(r.shortage); });
}

void print_memory(std::ostream& out, const Reports& all) {
  std::size_t most = 0;
  for (const Report& report : all) most = std::max(most, report.checkpoints.size());
  for (std::size_t i = 0; i < most; ++i) {
    const auto longest = std::find_if(all.begin(), all.end(),
                                      [&](const Report& r) { return r.checkpoints.size() > i; });
    const Checkpoint& named = longest->checkpoints[i];
    row(out, all, named.when + ", " + grouped(named.connections) + " idle", [i](const Report& r) {
      return i < r.checkpoints.size() ? text_of(r.checkpoints[i]) : std::string("-");
    });
  }
}

}  // namespace

void print(std::ostream& out, std::vector<Report>& reports) {
  for (Report& report : reports)
    std::sort(report.tally.latencies.begin(), report.tally.latencies.end());
  row(out, reports, "", [](const Report& r) { return r.server_name; });
  row(out, reports, "---", [](const Report&) { return "---"; });
  print_work(out, reports);
  print_costs(out, reports);
  print_memory(out, reports);
  row(out, reports, "verdict", [](const Report& r) {
    return r.tally.failed == 0 ? std::string("all kept")
                               : grouped(r.tally.failed) + " promises broken";
  });
  for (const Report& report : reports) {
    for (const std::string& why : report.tally.failures) {
      out << "\n" << report.server_name << ": " << why;
    }
  }
  out << std::endl;
}

}  // namespace load

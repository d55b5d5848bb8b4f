#include "dns/lookups.hpp"

#include <algorithm>
#include <chrono>
#include <span>
#include <system_error>

#include "dns/fail.hpp"
#include "dns/name.hpp"
#include "dns/query.hpp"
#include "event/co/timeout.hpp"
#include "event/co/wait.hpp"
#include "event/co/when.hpp"

namespace event_cpp::dns::detail {
namespace {

// The "Resolution Delay" of RFC 8305.
constexpr Duration kForTheOtherFamily = std::chrono::milliseconds(50);

bool wants(Family family, const net::Address& address) {
  if (family == Family::any) return true;
  return address.family() == (family == Family::v4 ? AF_INET : AF_INET6);
}

Answer fixed_answer(std::span<const net::Address> addresses, std::string canonical, int port,
                    Family family) {
  Answer answer;
  answer.addresses.reserve(addresses.size());
  for (const net::Address& address : addresses) {
    if (wants(family, address)) answer.addresses.push_back(address.with_port(port));
  }
  answer.canonical = std::move(canonical);
  answer.cached = true;
  return answer;
}

void check_port(int port) {
  if (port >= 0 && port <= 0xffff) return;
  throw std::system_error(std::make_error_code(std::errc::invalid_argument),
                          "event::dns::Resolver::resolve");
}

[[noreturn]] void throw_closed() {
  throw std::system_error(std::make_error_code(std::errc::operation_canceled),
                          "event::dns::Resolver");
}

co::Task<> wait_for(std::shared_ptr<Query> query, Duration limit) {
  const auto in_time = co_await co::try_with_timeout(limit, Query::wait(std::move(query)));
  static_cast<void>(in_time);
}

}  // namespace

bool Lookups::Half::is_done() const noexcept {
  return query == nullptr || found != nullptr || failure != nullptr || query->is_done();
}

void Lookups::Half::take_result() noexcept {
  if (query == nullptr || !query->is_done()) return;
  found = query->found();
  failure = query->failure();
}

// What it fails with if neither half has an address. That something does not exist is only known if
// nothing has failed; and a name exists if there is something of it. (Some servers say of a name
// that does not have an AAAA record that it does not exist: RFC 4074.)
Errc Lookups::Both::error() const noexcept {
  Errc worst = Errc::no_such_name;
  for (const Half* const half : {&v4, &v6}) {
    if (half->found == nullptr) continue;
    const Errc error = half->found->error;
    if (error == Errc::none) return Errc::none;
    if (error == Errc::no_such_name) continue;
    if (error != Errc::no_address || worst == Errc::no_such_name) worst = error;
  }
  return worst;
}

bool Lookups::Both::has_failed() const noexcept {
  return v4.failure != nullptr || v6.failure != nullptr;
}

void Lookups::Both::rethrow_failure() const {
  if (v4.failure != nullptr) std::rethrow_exception(v4.failure);
  if (v6.failure != nullptr) std::rethrow_exception(v6.failure);
}

Lookups::Lookups(Base& base, Options options)
    : base_(base),
      options_(std::move(options)),
      resolv_conf_file_(options_.resolv_conf),
      hosts_file_(options_.hosts ? options_.hosts_file : std::filesystem::path()),
      cache_(options_.cache),
      transport_(base, options_),
      late_(std::make_unique<co::TaskGroup>(base, "dns late answers")) {
  for (const net::Address& server : options_.servers) {
    if (server.is_ip() && server.port() != 0) continue;
    throw std::system_error(std::make_error_code(std::errc::invalid_argument),
                            "event::dns::Options::servers");
  }
  for (const std::filesystem::path* const path : {&options_.resolv_conf, &options_.hosts_file}) {
    if (path->native().find('\0') == std::string::npos) continue;
    throw std::system_error(std::make_error_code(std::errc::invalid_argument),
                            "event::dns::Options: a path contains a zero byte");
  }
}

co::Task<Answer> Lookups::resolve(std::shared_ptr<Lookups> self, std::string name, int port,
                                  Family family) {
  co_await co::detail::Spend();
  std::vector<std::string> names;
  std::optional<Answer> answer = self->without_asking(name, port, family, names);
  if (answer) co_return std::move(*answer);
  ++self->transport_.stats().misses;
  Both both;
  const auto in_time =
      co_await co::try_with_timeout(self->options_.limit, self->search(names, family, both));
  const Errc error = both.error();
  if (error != Errc::none) {
    if (!in_time) fail(Errc::timed_out, name);
    both.rethrow_failure();
    fail(error, name);
  }
  co_return self->answer(both, port, self->base_.now(), false);
}

std::optional<Answer> Lookups::without_asking(const std::string& name, int port, Family family,
                                              std::vector<std::string>& names) {
  check_port(port);
  if (late_ == nullptr) throw_closed();
  if (const auto address = literal(name, port)) {
    Answer answer = fixed_answer({&*address, 1}, name, port, family);
    if (answer.addresses.empty()) fail(Errc::no_address, name);
    return answer;
  }
  std::optional<HostName> host = parse_host_name(name);
  if (!host) fail(Errc::bad_name, name);
  if (is_localhost(host->text)) {
    const net::Address both[] = {net::Address::loopback_ipv6(0), net::Address::loopback(0)};
    return fixed_answer(both, std::move(host->text), port, family);
  }
  if (is_onion(host->text)) fail(Errc::no_such_name, name);
  const TimePoint now = base_.now();
  look_at_files(now);
  if (std::optional<Answer> answer = in_hosts(host->text, port, family)) return answer;
  names = names_to_ask(std::move(*host), search_, ndots_);
  const std::optional<Both> both = in_cache(names, family, now);
  if (!both) return std::nullopt;
  if (both->error() != Errc::none) fail(both->error(), name);
  return answer(*both, port, now, true);
}

void Lookups::look_at_files(TimePoint now) {
  if (const auto text = resolv_conf_file_.changed(now)) {
    ResolvConf conf = parse_resolv_conf(*text);
    std::vector<std::string> search;
    for (const std::string& domain : options_.search) {
      if (auto good = parse_domain(domain)) search.push_back(std::move(*good));
    }
    if (options_.search.empty()) search = std::move(conf.search);
    transport_.servers().set(options_.servers.empty() ? conf.servers : options_.servers);
    transport_.set_rotation(conf.rotate);
    search_ = std::move(search);
    ndots_ = options_.ndots.value_or(conf.ndots);
    if (std::exchange(read_conf_, true)) cache_.clear();  // another network may say otherwise
    resolv_conf_file_.applied();
  }
  if (const auto text = hosts_file_.changed(now)) {
    hosts_ = Hosts(*text);
    hosts_file_.applied();
  }
}

std::optional<Answer> Lookups::in_hosts(const std::string& name, int port, Family family) const {
  const Hosts::Host* const host = hosts_.find(name);
  if (host == nullptr) return std::nullopt;
  Answer answer = fixed_answer(host->addresses, host->canonical, port, family);
  if (answer.addresses.empty()) return std::nullopt;
  return answer;
}

std::optional<Lookups::Both> Lookups::in_cache(const std::vector<std::string>& names, Family family,
                                               TimePoint now) {
  Both both;
  for (const std::string& name : names) {
    const Cache::Known& known = cache_.find(name, now);
    if (family != Family::v4) both.v6.found = known.v6;
    if (family != Family::v4 && both.v6.found == nullptr) return std::nullopt;
    if (family != Family::v6) both.v4.found = known.v4;
    if (family != Family::v6 && both.v4.found == nullptr) return std::nullopt;
    if (both.error() != Errc::no_such_name) break;
  }
  ++transport_.stats().hits;
  return both;
}

co::Task<> Lookups::search(const std::vector<std::string>& names, Family family, Both& both) {
  for (const std::string& name : names) {
    co_await ask(name, family, both);
    if (both.error() != Errc::no_such_name || both.has_failed()) break;
  }
}

co::Task<> Lookups::ask(const std::string& name, Family family, Both& both) {
  both = Both();
  if (family != Family::v4) both.v6 = begin(name, Type::aaaa);
  if (family != Family::v6) both.v4 = begin(name, Type::a);
  if (!both.v6.is_done() && !both.v4.is_done()) {
    co_await co::when_any(Query::wait(both.v6.query), Query::wait(both.v4.query));
  }
  both.v6.take_result();
  both.v4.take_result();
  Half& late = both.v6.is_done() ? both.v4 : both.v6;
  const Half& first = both.v6.is_done() ? both.v6 : both.v4;
  if (late.is_done()) co_return;
  if (!first.has_addresses()) {
    co_await Query::wait(late.query);
  } else {
    co_await wait_for(late.query, kForTheOtherFamily);
    // Its answer will be wanted: it goes on for the cache.
    if (!late.is_done()) late_->spawn(wait_for(late.query, options_.limit));
  }
  late.take_result();
}

Lookups::Half Lookups::begin(const std::string& name, Type type) {
  Half half;
  if (late_ == nullptr) throw_closed();
  const Cache::Known& known = cache_.find(name, base_.now());
  half.found = type == Type::a ? known.v4 : known.v6;
  if (half.found != nullptr) return half;
  const auto running = running_.find(Key(name, type));
  if (running != running_.end()) {
    half.query = running->second->shared_from_this();
    return half;
  }
  half.query = std::make_shared<Query>(*this, Key(name, type));
  running_.emplace(Key(name, type), half.query.get());
  half.query->start();
  half.take_result();
  return half;
}

co::Task<> Lookups::run(Query& query) {
  std::shared_ptr<Found> found;
  std::exception_ptr failure;
  try {
    Reply reply = co_await transport_.ask(query.name(), query.type());
    found = std::make_shared<Found>();
    found->error = reply.error;
    found->addresses = std::move(reply.addresses);
    found->canonical = std::move(reply.canonical);
    const bool is_negative = reply.error != Errc::none;
    const Duration most = is_negative ? options_.negative_most : options_.ttl_most;
    const Duration ttl = std::min<Duration>(reply.ttl, std::max(most, Duration::zero()));
    found->holds_until = base_.now() + ttl;
    if (ttl > Duration::zero()) cache_.keep(query.name(), query.type(), found);
  } catch (...) {
    // Also if there is only no memory to keep it: the next lookup will say so as well.
    failure = std::current_exception();
  }
  query.end(std::move(found), std::move(failure));
}

// Two lists of one family each become one.
Answer Lookups::answer(const Both& both, int port, TimePoint now, bool cached) {
  Found* const v6 = both.v6.has_addresses() ? both.v6.found.get() : nullptr;
  Found* const v4 = both.v4.has_addresses() ? both.v4.found.get() : nullptr;
  std::span<const Ip> first;
  std::span<const Ip> second;
  if (v6 != nullptr) first = v6->addresses;
  if (v4 != nullptr) second = v4->addresses;
  const std::size_t count = first.size() + second.size();
  Answer answer;
  TimePoint holds_until = TimePoint::max();
  for (Found* const found : {v6, v4}) {
    if (found == nullptr) continue;
    if (count > 1) put_in_order(*found);
    holds_until = std::min(holds_until, found->holds_until);
    if (answer.canonical.empty()) answer.canonical = found->canonical;
  }
  answer.ttl = std::max(Duration::zero(), holds_until - now);
  answer.cached = cached;
  answer.addresses.reserve(count);
  for (std::size_t i = 0, j = 0; i + j < count;) {
    const bool is_first =
        j == second.size() || (i < first.size() && !(second[j].rank < first[i].rank));
    const Ip& ip = is_first ? first[i++] : second[j++];
    answer.addresses.push_back(ip.with_port(port));
  }
  return answer;
}

void Lookups::put_in_order(Found& found) {
  if (found.in_order) return;
  bool is_known = true;
  for (Ip& ip : found.addresses) {
    const std::optional<Rank> rank = rank_of(base_, ip);
    ip.rank = rank ? *rank : rank_of(ip, ip);  // as if it could be reached
    is_known = is_known && rank.has_value();
  }
  found.in_order = is_known;  // or the next answer finds out
  std::stable_sort(found.addresses.begin(), found.addresses.end(),
                   [](const Ip& a, const Ip& b) { return a.rank < b.rank; });
}

void Lookups::flush() noexcept {
  cache_.clear();
  transport_.servers().forget_failures();
}

void Lookups::reload() {
  resolv_conf_file_.look_soon();
  hosts_file_.look_soon();
  look_at_files(base_.now());
}

void Lookups::close() noexcept {
  if (late_ == nullptr) return;
  late_.reset();
  std::exception_ptr closed;
  try {
    throw_closed();
  } catch (...) {
    closed = std::current_exception();
  }
  while (!running_.empty()) {
    Query& query = *running_.begin()->second;
    query.stop();
    query.end(nullptr, closed);  // takes it out
  }
}

}  // namespace event_cpp::dns::detail

// What a Resolver consists of.
#pragma once

#include <cstddef>
#include <exception>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "dns/cache.hpp"
#include "dns/hosts.hpp"
#include "dns/resolv_conf.hpp"
#include "dns/transport.hpp"
#include "dns/watched_file.hpp"
#include "event/co/group.hpp"
#include "event/dns/resolver.hpp"

namespace event_cpp::dns::detail {

class Query;

// The lookups of a Resolver. A lookup is a task of whoever asks; it waits for queries, each of
// which is a task of its own, so that several lookups can share it.
class Lookups {
 public:
  Lookups(Base& base, Options options);
  ~Lookups() { close(); }
  Lookups(const Lookups&) = delete;
  Lookups& operator=(const Lookups&) = delete;

  // See Resolver. The task owns its share.
  static co::Task<Answer> resolve(std::shared_ptr<Lookups> self, std::string name, int port,
                                  Family family);
  void flush() noexcept;
  void reload();
  std::size_t under_way() const noexcept { return transport_.under_way(); }
  void close() noexcept;
  const Resolver::Stats& stats() noexcept { return transport_.stats(); }
  Base& base() const noexcept { return base_; }

 private:
  friend class Query;
  using Key = std::pair<std::string, Type>;

  // Half of a lookup: the addresses of one family.
  struct Half {
    bool is_done() const noexcept;
    bool has_addresses() const noexcept { return found != nullptr && found->error == Errc::none; }
    void take_result() noexcept;

    std::shared_ptr<Query> query;  // null: none was needed
    std::shared_ptr<Found> found;  // null: not asked for, not there yet, or failed
    std::exception_ptr failure;
  };
  struct Both {
    Errc error() const noexcept;  // none if there is an address
    bool has_failed() const noexcept;
    void rethrow_failure() const;

    Half v6;
    Half v4;
  };

  // Nothing, and the names to ask for, if it takes a server to know.
  std::optional<Answer> without_asking(const std::string& name, int port, Family family,
                                       std::vector<std::string>& names);
  void look_at_files(TimePoint now);
  std::optional<Answer> in_hosts(const std::string& name, int port, Family family) const;
  std::optional<Both> in_cache(const std::vector<std::string>& names, Family family, TimePoint now);
  // Both put what they have found into `both` as soon as it is there: they may be cancelled.
  co::Task<> search(const std::vector<std::string>& names, Family family, Both& both);
  co::Task<> ask(const std::string& name, Family family, Both& both);
  Half begin(const std::string& name, Type type);
  Answer answer(const Both& both, int port, TimePoint now, bool cached);
  void put_in_order(Found& found);
  co::Task<> run(Query& query);

  Base& base_;
  const Options options_;
  WatchedFile resolv_conf_file_;
  WatchedFile hosts_file_;
  std::vector<std::string> search_;
  int ndots_ = 1;
  bool read_conf_ = false;
  Hosts hosts_;
  Cache cache_;
  Transport transport_;
  std::map<Key, Query*> running_;        // each is owned by those who wait for it
  std::unique_ptr<co::TaskGroup> late_;  // wait for queries that no lookup waits for; null: closed
};

}  // namespace event_cpp::dns::detail

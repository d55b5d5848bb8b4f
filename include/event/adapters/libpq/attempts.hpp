// Splits a connection string with several servers into one attempt for each.
#pragma once

#include <libpq-fe.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "event/adapters/libpq/error.hpp"
#include "event/time.hpp"

namespace event_cpp::pg::detail {

// A parsed connection string. See "Connection Strings" in libpq's manual.
using Keywords = std::map<std::string, std::string>;

// Parses a connection string or URI. Errors: throws Error.
inline Keywords parse_keywords(const std::string& text) {
  if (text.find('\0') != std::string::npos) {
    throw Error("pg: the connection string contains a zero byte");
  }
  char* why = nullptr;
  const std::unique_ptr<PQconninfoOption, decltype(&::PQconninfoFree)> options(
      ::PQconninfoParse(text.c_str(), &why), &::PQconninfoFree);
  if (options == nullptr) {
    const std::unique_ptr<char, decltype(&::PQfreemem)> owned(why, &::PQfreemem);
    throw Error(why != nullptr ? why : "pg: out of memory");
  }
  Keywords keywords;
  for (const PQconninfoOption* option = options.get(); option->keyword != nullptr; ++option) {
    if (option->val != nullptr) keywords[option->keyword] = option->val;
  }
  return keywords;
}

inline std::vector<std::string> split(std::string_view list) {
  std::vector<std::string> parts;
  for (;;) {
    const std::size_t comma = list.find(',');
    parts.emplace_back(list.substr(0, comma));
    if (comma == std::string_view::npos) return parts;
    list.remove_prefix(comma + 1);
  }
}

// The attempts, in order. libpq can try several servers by itself. But it blocks for name lookups,
// and has no time limit in non-blocking mode; so it gets one server at a time.
inline std::vector<Keywords> attempts_of(Keywords all) {
  for (const auto& [keyword, variable] :
       {std::pair("host", "PGHOST"), {"hostaddr", "PGHOSTADDR"}, {"port", "PGPORT"}}) {
    const char* const value = std::getenv(variable);
    if (!all.contains(keyword) && !all.contains("service") && value != nullptr) {
      all[keyword] = value;
    }
  }
  const std::vector<std::string> hosts = split(all["host"]);
  const std::vector<std::string> addresses = split(all["hostaddr"]);
  const std::vector<std::string> ports = split(all["port"]);
  const std::size_t count = std::max(hosts.size(), addresses.size());
  const auto set = [count](Keywords& attempt, const char* keyword,
                           const std::vector<std::string>& values, std::size_t i) {
    if (values.size() != 1 && values.size() != count) {
      throw Error(std::string("pg: ") + keyword + " must have one value, or one for each host");
    }
    const std::string& value = values[values.size() == 1 ? 0 : i];
    if (value.empty()) {
      attempt.erase(keyword);
    } else {
      attempt[keyword] = value;
    }
  };
  // target_session_attrs=prefer-standby concerns all servers: first the standbys, then any.
  std::vector<std::string> kinds{""};
  if (all["target_session_attrs"] == "prefer-standby") kinds = {"standby", "any"};
  std::vector<Keywords> attempts;
  for (const std::string& kind : kinds) {
    for (std::size_t i = 0; i < count; ++i) {
      Keywords attempt = all;
      set(attempt, "host", hosts, i);
      set(attempt, "hostaddr", addresses, i);
      set(attempt, "port", ports, i);
      if (!kind.empty()) attempt["target_session_attrs"] = kind;
      if (attempt["target_session_attrs"].empty()) attempt.erase("target_session_attrs");
      attempts.push_back(std::move(attempt));
    }
  }
  return attempts;
}

// Whether the attempt has a name to look up.
inline bool has_name(const Keywords& attempt) {
  const auto host = attempt.find("host");
  return !attempt.contains("hostaddr") && host != attempt.end() && host->second.front() != '/' &&
         host->second.front() != '@';
}

// connect_timeout, in seconds; none: Duration::max().
inline Duration limit_of(const Keywords& attempt) {
  const auto limit = attempt.find("connect_timeout");
  const int seconds = limit != attempt.end() ? std::atoi(limit->second.c_str()) : 0;
  return seconds > 0 ? Duration(std::chrono::seconds(seconds)) : Duration::max();
}

}  // namespace event_cpp::pg::detail

// Download and get(): receive a body in parts, or as a whole.
#pragma once

#include <curl/curl.h>
#include <strings.h>

#include <algorithm>
#include <cstddef>
#include <exception>
#include <memory>
#include <new>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include "event/adapters/curl/multi.hpp"
#include "event/co/group.hpp"
#include "event/co/sync.hpp"
#include "event/net/address.hpp"
#include "event/net/connect.hpp"

namespace event_cpp::curl {

namespace detail {

// Looks up the name of the URL with net::resolve(), and passes the addresses to libcurl. It does
// nothing for an address; for an invalid URL, which libcurl reports; and if libcurl connects to
// another host, such as a proxy, which may resolve other names. Must live as long as the transfer.
class Lookup {
 public:
  co::Task<> resolve(Easy& easy, std::string url) {
    const std::unique_ptr<CURLU, decltype(&::curl_url_cleanup)> parts(::curl_url(),
                                                                      &::curl_url_cleanup);
    if (parts == nullptr) throw std::bad_alloc();
    const bool is_url =
        ::curl_url_set(parts.get(), CURLUPART_URL, url.c_str(), CURLU_DEFAULT_SCHEME) == CURLUE_OK;
    const std::string host = part(parts.get(), CURLUPART_HOST, 0);
    const std::string port = part(parts.get(), CURLUPART_PORT, CURLU_DEFAULT_PORT);
    if (!is_url || host.empty() || port.empty() || net::Address::parse(host).has_value()) co_return;
    if (!easy.connects_to_host_of(part(parts.get(), CURLUPART_SCHEME, 0))) co_return;
    const std::vector<net::Address> found = co_await net::resolve(host, std::stoi(port));
    std::string entry = "+" + host + ":" + port + ":";  // "+": it gets old, as others do
    for (const net::Address& address : found) {
      if (entry.back() != ':') entry += ',';
      entry += address.text().substr(0, address.text().rfind(':'));
    }
    list_.reset(::curl_slist_append(nullptr, entry.c_str()));
    if (list_ == nullptr) throw std::bad_alloc();
    easy.set(CURLOPT_RESOLVE, list_.get());
  }

 private:
  static std::string part(CURLU* url, CURLUPart which, unsigned flags) {
    char* text = nullptr;
    if (::curl_url_get(url, which, &text, flags) != CURLUE_OK) return {};
    const std::unique_ptr<char, decltype(&::curl_free)> owned(text, &::curl_free);
    return text;
  }

  struct Free {
    void operator()(curl_slist* list) const noexcept { ::curl_slist_free_all(list); }
  };
  std::unique_ptr<curl_slist, Free> list_;
};

}  // namespace detail

// A transfer whose body is read in parts, at the speed of the reader: when 64 KiB are buffered, the
// transfer pauses.
//
//   curl::Download download(multi);
//   co_await download.start("http://localhost/big");
//   while (const std::optional<std::string> part = co_await download.read()) use(*part);
//
// Thread-safety: as Multi. Lifetime: destroying it ends the transfer. The Multi must outlive it,
// and it must outlive a task in start() or read().
class Download {
 public:
  static constexpr std::size_t kMost = std::size_t{64} << 10U;

  explicit Download(Multi& multi) : multi_(multi), group_(multi.base(), "curl::Download") {}
  // If this is destroyed in a callback of libcurl, the transfer ends after the callback.
  ~Download() {
    CURL* const easy = easy_.get();
    ::curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, &Download::refuse);
    ::curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, &Download::refuse);
    ::curl_easy_setopt(easy, CURLOPT_RESOLVE, nullptr);
  }
  Download(const Download&) = delete;
  Download& operator=(const Download&) = delete;

  // To set options before start(), except those that Download sets itself: CURLOPT_URL,
  // CURLOPT_RESOLVE, CURLOPT_WRITEFUNCTION, CURLOPT_HEADERFUNCTION and their data. Set a proxy with
  // Easy::set(), not with curl_easy_setopt(): otherwise the name of the URL is looked up
  // needlessly.
  Easy& easy() noexcept { return easy_; }

  // co_await: starts the transfer, and waits until the body begins or the transfer has ended. May
  // be called once. Errors: as Multi::perform(); those of net::resolve(); those of Easy::set().
  co::Task<> start(std::string url) {
    easy_.set(CURLOPT_URL, url);
    co_await lookup_.resolve(easy_, url);
    easy_.set(CURLOPT_WRITEFUNCTION, &Download::on_body);
    easy_.set(CURLOPT_WRITEDATA, this);
    easy_.set(CURLOPT_HEADERFUNCTION, &Download::on_header);
    easy_.set(CURLOPT_HEADERDATA, this);
    group_.spawn(run());
    while (!has_body_ && !ended_) co_await changed_.wait();
    if (failure_ != nullptr && !has_body_) std::rethrow_exception(failure_);
  }

  // The status code of HTTP.
  long status() const noexcept { return easy_.status(); }
  // The value of a header of the last response, after redirects. The case of `name` does not
  // matter. Empty if there is no such header; the first one if there are several.
  std::string_view header(std::string_view name) const noexcept {
    for (const auto& [known, value] : headers_) {
      if (known.size() == name.size() &&
          ::strncasecmp(known.data(), name.data(), name.size()) == 0) {
        return value;
      }
    }
    return {};
  }

  // co_await: returns the next part of the body, std::nullopt at its end. Errors: as
  // Multi::perform().
  co::Task<std::optional<std::string>> read() {
    while (body_.empty() && !ended_) co_await changed_.wait();
    if (!body_.empty()) {
      std::optional<std::string> part(std::exchange(body_, {}));
      if (std::exchange(paused_, false)) multi_.unpause(easy_);
      co_return part;
    }
    if (failure_ != nullptr) std::rethrow_exception(failure_);
    co_return std::nullopt;
  }

  // The number of buffered bytes.
  std::size_t waiting() const noexcept { return body_.size(); }

 private:
  co::Task<> run() {
    try {
      co_await multi_.perform(easy_);
    } catch (...) {
      failure_ = std::current_exception();
    }
    ended_ = true;
    changed_.notify_all();
  }

  // What libcurl calls.
  static std::size_t refuse(const char* /*data*/, std::size_t /*one*/, std::size_t /*count*/,
                            void* /*gone*/) noexcept {
    return 0;
  }
  static std::size_t on_body(const char* data, std::size_t one, std::size_t count,
                             void* self) noexcept {
    return static_cast<Download*>(self)->take({data, one * count});
  }
  std::size_t take(std::string_view data) noexcept {
    has_body_ = true;
    if (body_.size() >= kMost) {
      paused_ = true;
      return CURL_WRITEFUNC_PAUSE;
    }
    try {
      body_ += data;
    } catch (const std::bad_alloc&) {
      return 0;  // the transfer fails
    }
    changed_.notify_all();
    return data.size();
  }
  static std::size_t on_header(const char* data, std::size_t one, std::size_t count,
                               void* self) noexcept {
    const std::string_view line(data, one * count);
    return static_cast<Download*>(self)->take_header(line) ? line.size() : 0;
  }
  bool take_header(std::string_view line) noexcept {
    while (!line.empty() && (line.back() == '\n' || line.back() == '\r')) line.remove_suffix(1);
    const std::size_t colon = line.find(':');
    try {
      if (line.starts_with("HTTP/")) {
        headers_.clear();  // another response
      } else if (colon != std::string_view::npos) {
        std::string_view value = line.substr(colon + 1);
        while (!value.empty() && value.front() == ' ') value.remove_prefix(1);
        headers_.emplace_back(line.substr(0, colon), value);
      }
      return true;
    } catch (const std::bad_alloc&) {
      return false;
    }
  }

  Multi& multi_;
  detail::Lookup lookup_;
  Easy easy_;
  std::vector<std::pair<std::string, std::string>> headers_;
  std::string body_;  // received and not read yet
  bool paused_ = false;
  bool has_body_ = false;
  bool ended_ = false;
  std::exception_ptr failure_;
  co::Notification changed_;
  co::TaskGroup group_;  // last: its task uses the rest
};

// The result of get().
struct Response {
  long status = 0;
  std::string body;
};

// co_await: downloads a whole body, following at most 30 redirects. Any HTTP status is a result,
// not an error. Errors: as Download::start(); CURLE_TOO_MANY_REDIRECTS; CURLE_FILESIZE_EXCEEDED if
// the body is longer than `most` bytes. Lifetime: the Multi outlives the task.
inline co::Task<Response> get(Multi& multi, std::string url,
                              std::size_t most = std::size_t{64} << 20U) {
  Download download(multi);
  download.easy().set(CURLOPT_FOLLOWLOCATION, 1).set(CURLOPT_MAXREDIRS, 30);
  co_await download.start(std::move(url));
  Response response{download.status(), std::string()};
  for (;;) {
    const std::optional<std::string> part = co_await download.read();
    if (!part.has_value()) co_return response;
    response.body += *part;
    if (response.body.size() > most) {
      throw std::system_error(CURLE_FILESIZE_EXCEEDED, category(), "curl: get");
    }
  }
}

}  // namespace event_cpp::curl

// Easy: a transfer and its options.
#pragma once

#include <curl/curl.h>

#include <array>
#include <memory>
#include <new>
#include <string>
#include <string_view>
#include <system_error>
#include <type_traits>
#include <utility>

#include "event/adapters/curl/error.hpp"

namespace event_cpp::curl {

// Owns an easy handle. Copies share it.
class Easy {
 public:
  // Errors: throws std::bad_alloc.
  Easy() : state_(std::make_shared<State>()) {
    if (get() == nullptr) throw std::bad_alloc();
    ::curl_easy_setopt(get(), CURLOPT_ERRORBUFFER, state_->message.data());
    ::curl_easy_setopt(get(), CURLOPT_NOSIGNAL, 1L);  // signals are for the program's own use
  }
  explicit Easy(const std::string& url) : Easy() { set(CURLOPT_URL, url); }

  // Sets an option: see curl_easy_setopt(3). A number has any type; a std::string is for an option
  // that copies its text. These belong to Multi: CURLOPT_PRIVATE, CURLOPT_CLOSESOCKETFUNCTION,
  // CURLOPT_NOSIGNAL, CURLOPT_ERRORBUFFER.
  // Errors: throws std::system_error of category().
  template <class T>
  Easy& set(CURLoption option, const T& value) {
    CURLcode code = CURLE_OK;
    if constexpr (std::is_integral_v<T> || std::is_enum_v<T>) {
      const int type = static_cast<int>(option) / 10000 * 10000;
      code = type == CURLOPTTYPE_OFF_T
                 ? ::curl_easy_setopt(get(), option, static_cast<curl_off_t>(value))
                 : ::curl_easy_setopt(get(), option, static_cast<long>(value));
    } else if constexpr (std::is_convertible_v<const T&, const char*> || std::is_pointer_v<T>) {
      code = ::curl_easy_setopt(get(), option, value);
    } else {
      code = ::curl_easy_setopt(get(), option, std::string(value).c_str());
    }
    if (code != CURLE_OK) throw std::system_error(code, category(), "curl_easy_setopt");
    return *this;
  }

  // A number that curl_easy_getinfo(3) knows: long or curl_off_t.
  template <class T>
  T info(CURLINFO what) const noexcept {
    T value{};
    ::curl_easy_getinfo(get(), what, &value);
    return value;
  }
  long status() const noexcept { return info<long>(CURLINFO_RESPONSE_CODE); }
  // What libcurl said of the last error.
  std::string_view message() const noexcept { return state_->message.data(); }

  // libcurl's own.
  CURL* get() const noexcept { return state_->handle.get(); }

 private:
  struct Cleanup {
    void operator()(CURL* handle) const noexcept { ::curl_easy_cleanup(handle); }
  };
  struct State {
    std::array<char, CURL_ERROR_SIZE> message{};
    std::unique_ptr<CURL, Cleanup> handle{::curl_easy_init()};
  };

  std::shared_ptr<State> state_;
};

}  // namespace event_cpp::curl

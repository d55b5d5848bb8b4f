// Easy: a transfer and its options.
#pragma once

#include <curl/curl.h>

#include <array>
#include <cstdlib>
#include <memory>
#include <new>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>
#include <type_traits>
#include <utility>

#include "event/adapters/curl/error.hpp"

namespace event_cpp::curl {

// An easy handle of libcurl. Copies share the handle.
class Easy {
 public:
  // Errors: throws std::bad_alloc.
  Easy() : state_(std::make_shared<State>()) {
    if (get() == nullptr) throw std::bad_alloc();
    ::curl_easy_setopt(get(), CURLOPT_ERRORBUFFER, state_->message.data());
    ::curl_easy_setopt(get(), CURLOPT_NOSIGNAL, 1L);  // signals are for the program's own use
  }
  // Errors: also as set().
  explicit Easy(const std::string& url) : Easy() { set(CURLOPT_URL, url); }

  // Sets an option: see curl_easy_setopt(3). A number may have any integer type; a std::string is
  // for an option whose text libcurl copies. Do not set these, which Multi uses: CURLOPT_PRIVATE,
  // CURLOPT_CLOSESOCKETFUNCTION, CURLOPT_NOSIGNAL, CURLOPT_ERRORBUFFER.
  // Errors: throws std::system_error of category(); std::errc::invalid_argument for a std::string
  // with a zero byte, where libcurl would end it, except for CURLOPT_COPYPOSTFIELDS, whose size
  // CURLOPT_POSTFIELDSIZE says.
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
      const std::string text(value);
      // The only text that libcurl takes with a size, if it was told one.
      if (option != CURLOPT_COPYPOSTFIELDS && text.find('\0') != std::string::npos) {
        throw std::system_error(std::make_error_code(std::errc::invalid_argument),
                                "curl: the text of an option contains a zero byte");
      }
      code = ::curl_easy_setopt(get(), option, text.c_str());
    }
    if (code != CURLE_OK) throw std::system_error(code, category(), "curl_easy_setopt");
    note(option, value);
    return *this;
  }

  // A number of curl_easy_getinfo(3): T is long or curl_off_t.
  template <class T>
  T info(CURLINFO what) const noexcept {
    T value{};
    ::curl_easy_getinfo(get(), what, &value);
    return value;
  }
  long status() const noexcept { return info<long>(CURLINFO_RESPONSE_CODE); }
  // libcurl's message for the last error.
  std::string_view message() const noexcept { return state_->message.data(); }

  // Whether libcurl will itself look up and connect to the host of the URL, as far as set() and the
  // environment show. It does not, for example, with a proxy.
  bool connects_to_host_of(std::string scheme) const {
    if (state_->elsewhere) return false;
    if (state_->proxy.has_value()) return !*state_->proxy;
    scheme += "_proxy";
    // libcurl ignores HTTP_PROXY: a CGI program has it from its client.
    if (is_in_environment(scheme)) return false;
    if (scheme != "http_proxy" && is_in_environment(in_capitals(scheme))) return false;
    return !is_in_environment("all_proxy") && !is_in_environment("ALL_PROXY");
  }

  // The handle of libcurl.
  CURL* get() const noexcept { return state_->handle.get(); }

 private:
  template <class T>
  void note(CURLoption option, const T& value) noexcept {
    bool is_null = false;
    bool given = false;
    if constexpr (std::is_convertible_v<const T&, const char*>) {
      const char* const text = value;
      is_null = text == nullptr;
      given = !is_null && *text != '\0';
    } else if constexpr (std::is_convertible_v<const T&, std::string_view>) {
      given = !std::string_view(value).empty();
    } else if constexpr (std::is_pointer_v<T>) {
      given = value != nullptr;
    }
    switch (option) {
      case CURLOPT_PROXY:
        // No text at all is the default: that of the environment.
        state_->proxy = is_null ? std::nullopt : std::optional<bool>(given);
        break;
      case CURLOPT_PRE_PROXY:
      case CURLOPT_CONNECT_TO:
      case CURLOPT_UNIX_SOCKET_PATH:
      case CURLOPT_ABSTRACT_UNIX_SOCKET:
      case CURLOPT_DOH_URL:
        if (given) state_->elsewhere = true;
        break;
      default:
        break;
    }
  }
  static bool is_in_environment(const std::string& name) noexcept {
    const char* const value = std::getenv(name.c_str());
    return value != nullptr && *value != '\0';
  }
  static std::string in_capitals(std::string text) {
    for (char& c : text) c = c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c;
    return text;
  }

  struct Cleanup {
    void operator()(CURL* handle) const noexcept { ::curl_easy_cleanup(handle); }
  };
  struct State {
    std::array<char, CURL_ERROR_SIZE> message{};
    std::unique_ptr<CURL, Cleanup> handle{::curl_easy_init()};
    std::optional<bool> proxy;  // what set() was told: nothing, that there is one, or none
    bool elsewhere = false;
  };

  std::shared_ptr<State> state_;
};

}  // namespace event_cpp::curl

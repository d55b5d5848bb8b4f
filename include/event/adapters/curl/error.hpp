// The error codes of libcurl as std::error_code.
#pragma once

#include <curl/curl.h>

#include <new>
#include <string>
#include <system_error>

namespace event_cpp::curl {

// The category of CURLcode, named "curl". CURLE_OPERATION_TIMEDOUT equals std::errc::timed_out.
inline const std::error_category& category() noexcept {
  static const struct Category final : std::error_category {
    const char* name() const noexcept override { return "curl"; }
    std::string message(int code) const override {
      return ::curl_easy_strerror(static_cast<CURLcode>(code));
    }
    std::error_condition default_error_condition(int code) const noexcept override {
      if (code == CURLE_OPERATION_TIMEDOUT) return std::errc::timed_out;
      return {code, *this};
    }
  } kCategory;
  return kCategory;
}

namespace detail {

// What a call to a multi handle returned.
inline void check(CURLMcode code, const char* what) {
  if (code == CURLM_OK) return;
  if (code == CURLM_OUT_OF_MEMORY) throw std::bad_alloc();
  throw std::system_error(CURLE_FAILED_INIT, category(),
                          std::string(what) + ": " + ::curl_multi_strerror(code));
}

}  // namespace detail
}  // namespace event_cpp::curl

// Found by std::error_code(CURLE_...), and by comparing with one.
inline std::error_code make_error_code(CURLcode code) noexcept {
  return {static_cast<int>(code), event_cpp::curl::category()};
}
template <>
struct std::is_error_code_enum<CURLcode> : std::true_type {};

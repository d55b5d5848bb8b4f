// The values for $1, $2 ... of a query.
#pragma once

#include <array>
#include <charconv>
#include <concepts>
#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <system_error>
#include <type_traits>
#include <vector>

namespace event_cpp::pg::detail {

// Values are sent as text; a std::span<const std::byte> is sent in binary, for a bytea.
class Parameters {
 public:
  // Copies the values. Errors: throws std::system_error, std::errc::invalid_argument, for text with
  // a zero byte, which PostgreSQL does not support; std::bad_alloc.
  template <class... T>
  explicit Parameters(const T&... values) {
    values_.reserve(sizeof...(values));
    (add(values), ...);
  }

  int count() const noexcept { return static_cast<int>(values_.size()); }

  // Calls send(values, lengths, formats) as PQsendQueryParams() wants them.
  template <class F>
  int send(F&& f) const {
    std::vector<const char*> values(values_.size());
    std::vector<int> lengths(values_.size());
    std::vector<int> formats(values_.size());
    for (std::size_t i = 0; i < values_.size(); ++i) {
      const Value& value = values_[i];
      values[i] = value.text.has_value() ? value.text->c_str() : nullptr;
      lengths[i] = value.text.has_value() ? static_cast<int>(value.text->size()) : 0;
      formats[i] = value.binary ? 1 : 0;
    }
    return f(values.data(), lengths.data(), formats.data());
  }

 private:
  struct Value {
    std::optional<std::string> text{};  // nothing: NULL
    bool binary = false;
  };

  template <class T>
  void add(const T& value) {
    if constexpr (std::same_as<T, std::nullptr_t> || std::same_as<T, std::nullopt_t>) {
      values_.push_back({});
    } else if constexpr (std::same_as<T, bool>) {
      values_.push_back({value ? "t" : "f", false});
    } else if constexpr (std::is_arithmetic_v<T>) {
      std::array<char, 64> digits{};
      const auto end = std::to_chars(digits.begin(), digits.end(), value).ptr;
      values_.push_back({std::string(digits.begin(), end), false});
    } else if constexpr (std::convertible_to<const T&, std::span<const std::byte>>) {
      const std::span<const std::byte> bytes(value);
      values_.push_back(
          {std::string(reinterpret_cast<const char*>(bytes.data()), bytes.size()), true});
    } else {
      static_assert(std::convertible_to<const T&, std::string_view>,
                    "a parameter is a number, a bool, text, bytes, null, or an optional of these");
      const std::string_view text(value);
      if (text.find('\0') != std::string_view::npos) {
        throw std::system_error(std::make_error_code(std::errc::invalid_argument),
                                "pg: a parameter contains a zero byte");
      }
      values_.push_back({std::string(text), false});
    }
  }
  template <class T>
  void add(const std::optional<T>& value) {
    if (value.has_value()) {
      add(*value);
    } else {
      values_.push_back({});
    }
  }

  std::vector<Value> values_;
};

}  // namespace event_cpp::pg::detail

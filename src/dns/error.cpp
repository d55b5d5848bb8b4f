#include "event/dns/error.hpp"

#include <string>

#include "event/net/connect.hpp"

namespace event_cpp::dns {
namespace {

class Category final : public std::error_category {
 public:
  const char* name() const noexcept override { return "dns"; }

  std::string message(int code) const override {
    switch (static_cast<Errc>(code)) {
      case Errc::none:
        return "no error";
      case Errc::no_such_name:
        return "the name does not exist";
      case Errc::no_address:
        return "the name has no address of this family";
      case Errc::server_failed:
        return "the name server cannot answer, or refuses to";
      case Errc::refused:
        return "nobody listens at the address of the name server";
      case Errc::timed_out:
        return "no name server has answered in time";
      case Errc::bad_answer:
        return "the answer of the name server makes no sense";
      case Errc::bad_name:
        return "not a valid host name";
      case Errc::no_servers:
        return "no name server is configured";
      case Errc::too_many:
        return "too many queries wait for their turn";
    }
    return "unknown error";
  }

  std::error_condition default_error_condition(int code) const noexcept override {
    switch (static_cast<Errc>(code)) {
      case Errc::timed_out:
        return std::errc::timed_out;
      case Errc::bad_name:
        return std::errc::invalid_argument;
      case Errc::no_such_name:
      case Errc::no_address:
        return net::no_such_name();
      default:
        return {code, *this};
    }
  }
};

}  // namespace

const std::error_category& category() noexcept {
  static const Category instance;
  return instance;
}

}  // namespace event_cpp::dns

// Reply: a reply of the server.
#pragma once

#include <hiredis/hiredis.h>

#include <cstddef>
#include <memory>
#include <string_view>
#include <utility>

namespace event_cpp::redis {

// A view of a reply, or of an element of one. Owns nothing: the Reply must outlive it.
class ReplyView {
 public:
  explicit ReplyView(const redisReply* reply = nullptr) noexcept : reply_(reply) {}

  // The type, such as REDIS_REPLY_STRING; 0 if there is no reply.
  int type() const noexcept { return reply_ != nullptr ? reply_->type : 0; }
  bool is_nil() const noexcept { return type() == REDIS_REPLY_NIL; }
  // Whether the server refused the command; text() is its message: "WRONGTYPE Operation against
  // ...".
  bool is_error() const noexcept { return type() == REDIS_REPLY_ERROR; }

  // The text of a string, a status or an error; otherwise empty.
  std::string_view text() const noexcept {
    return reply_ != nullptr && reply_->str != nullptr ? std::string_view(reply_->str, reply_->len)
                                                       : std::string_view();
  }
  // The value of an integer; otherwise zero.
  long long integer() const noexcept { return type() == REDIS_REPLY_INTEGER ? reply_->integer : 0; }
  // The number of elements of an array; otherwise zero.
  std::size_t size() const noexcept {
    return reply_ != nullptr && reply_->element != nullptr ? reply_->elements : 0;
  }
  // An element of an array; a view of no reply if there is no such element.
  ReplyView operator[](std::size_t i) const noexcept {
    return ReplyView(i < size() ? reply_->element[i] : nullptr);
  }

  // The structure of hiredis.
  const redisReply* get() const noexcept { return reply_; }

 private:
  const redisReply* reply_;
};

// A reply that owns its memory. Move-only.
class Reply : public ReplyView {
 public:
  Reply() noexcept = default;
  // Takes ownership, and frees it with freeReplyObject() of hiredis.
  explicit Reply(redisReply* reply) noexcept : ReplyView(reply), owned_(reply) {}
  Reply(Reply&& other) noexcept : ReplyView(other), owned_(std::move(other.owned_)) {
    other.forget();
  }
  Reply& operator=(Reply&& other) noexcept {
    ReplyView::operator=(other);
    owned_ = std::move(other.owned_);
    if (this != &other) other.forget();
    return *this;
  }
  ~Reply() = default;

 private:
  struct Free {
    void operator()(redisReply* reply) const noexcept { ::freeReplyObject(reply); }
  };
  void forget() noexcept { ReplyView::operator=(ReplyView()); }

  std::unique_ptr<redisReply, Free> owned_;
};

}  // namespace event_cpp::redis

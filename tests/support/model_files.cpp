// Opens, fills and closes files, and remembers what that makes ready.
#include "support/model_files.hpp"

#include <iterator>
#include <utility>

namespace event_cpp::test {
namespace {

constexpr Events kAll = Events::read | Events::write | Events::closed;
constexpr std::size_t kKept = 3;

}  // namespace

ModelFile::ModelFile(Kind kind, int id)
    : kind_(kind), id_(id), ready_(kind == Kind::reader ? Events::none : Events::write) {
  if (kind == Kind::socket) {
    Sockets pair = socket_pair();
    ours_ = std::move(pair.ours);
    theirs_ = std::move(pair.theirs);
    return;
  }
  if (kind == Kind::regular) {
    ours_ = regular_file();
    ready_ = Events::read | Events::write;  // always
    return;
  }
  Pipe pipe = make_pipe();
  ours_ = std::move(kind == Kind::reader ? pipe.reader : pipe.writer);
  theirs_ = std::move(kind == Kind::reader ? pipe.writer : pipe.reader);
}

Events ModelFile::ready(Events asked) const noexcept {
  // A pipe that nobody reads has an error, and no hang-up.
  const bool broken = kind_ == Kind::writer && !theirs_.open();
  if (!broken) return asked & ready_;
  const bool asks = any(asked & Events::error);
  return asked & (Events::write | (asks ? Events::error : Events::read));
}

void ModelFile::feed() {
  if (kind_ == Kind::writer || !theirs_.open() || half_closed_) return;
  write_bytes(theirs_);
  ready_ |= Events::read;
}

void ModelFile::empty() {
  if (kind_ == Kind::writer || kind_ == Kind::regular) return;
  drain(ours_);
  if (theirs_.open() && !half_closed_) ready_ &= ~Events::read;
}

void ModelFile::end_peer() {
  if (kind_ != Kind::socket || !theirs_.open()) return;
  end_writing(theirs_);
  half_closed_ = true;
  ready_ |= Events::read | Events::closed;
}

void ModelFile::lose_peer() {
  if (kind_ == Kind::regular) return;
  theirs_.close();
  ready_ = kAll;
}

void ModelFile::restore() {
  if (kind_ == Kind::writer || !theirs_.open() || half_closed_) return;
  drain(ours_);
  if (any(ready_ & Events::read)) write_bytes(theirs_);
}

void ModelFile::take_number_of(ModelFile& other) {
  duplicate_onto(other.number(), ours_);
  ours_ = std::move(other.ours_);
}

ModelFile* ModelFiles::find(int number) {
  const auto found = files_.find(number);
  return found == files_.end() ? nullptr : found->second.get();
}

int ModelFiles::id_of(int number) {
  const ModelFile* const file = find(number);
  return file == nullptr ? -1 : file->id();
}

ModelFile& ModelFiles::any() {
  return *std::next(files_.begin(), static_cast<long>(random_.below(files_.size())))->second;
}

std::unique_ptr<ModelFile> ModelFiles::make() {
  return std::make_unique<ModelFile>(static_cast<ModelFile::Kind>(random_.below(4)), next_id_++);
}

void ModelFiles::open() {
  auto file = make();
  const int number = file->number();
  files_[number] = std::move(file);
}

void ModelFiles::close(int number) { files_.erase(number); }

void ModelFiles::close_but_keep(int number) {
  kept_.push_back(find(number)->another_number());
  if (kept_.size() > kKept) kept_.erase(kept_.begin());
  close(number);
}

void ModelFiles::restore() {
  for (auto& [number, file] : files_) file->restore();
}

void ModelFiles::replace(int number) {
  auto file = make();
  file->take_number_of(*find(number));
  files_[number] = std::move(file);
}

}  // namespace event_cpp::test

// Files of several kinds for random tests, of which the test knows what is ready without asking.
#pragma once

#include <cstddef>
#include <map>
#include <memory>
#include <vector>

#include "event/event_mask.hpp"
#include "support/descriptors.hpp"
#include "support/seeded_random.hpp"

namespace event_cpp::test {

// A pipe's reader, a pipe's writer, a socket, or a regular file. Each has an id that no other file
// ever gets, while numbers are given to one file after the other.
class ModelFile {
 public:
  enum class Kind { reader, writer, socket, regular };

  ModelFile(Kind kind, int id);

  int id() const noexcept { return id_; }
  Kind kind() const noexcept { return kind_; }
  int number() const noexcept { return ours_.get(); }

  // What is true now for an event that asks for `asked`: of read, write, closed and error.
  Events ready(Events asked) const noexcept;

  void feed();       // gives it something to read, if it can have that
  void empty();      // reads what is there
  void end_peer();   // the other end stops sending, if it is a socket
  void lose_peer();  // the other end is closed
  void restore();    // what is to be read, after another process may have read or written
  Fd another_number() const { return duplicate(ours_); }

  // Takes the number of a file that is still open, and the other file with it.
  void take_number_of(ModelFile& other);

 private:
  Kind kind_;
  int id_;
  Fd ours_;
  Fd theirs_;
  Events ready_;
  bool half_closed_ = false;
};

// The files that are open, by number.
class ModelFiles {
 public:
  explicit ModelFiles(Random& random) : random_(random) {}

  std::size_t size() const noexcept { return files_.size(); }

  // The file that a number stands for; nullptr if none of these does.
  ModelFile* find(int number);
  int id_of(int number);  // -1 for none

  ModelFile& any();
  void open();
  void close(int number);
  void close_but_keep(int number);  // a duplicate stays open for some time
  void replace(int number);         // another file takes the number
  void restore();                   // each of them

 private:
  std::unique_ptr<ModelFile> make();

  Random& random_;
  std::map<int, std::unique_ptr<ModelFile>> files_;
  std::vector<Fd> kept_;
  int next_id_ = 0;
};

}  // namespace event_cpp::test

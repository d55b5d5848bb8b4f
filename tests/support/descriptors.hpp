// Descriptors for tests: what they own they close, and none of them ever blocks.
#pragma once

#include <cstddef>
#include <utility>

namespace event_cpp::test {

class Fd {
 public:
  Fd() noexcept = default;
  explicit Fd(int number) noexcept : number_(number) {}
  Fd(Fd&& other) noexcept : number_(std::exchange(other.number_, -1)) {}
  Fd& operator=(Fd&& other) noexcept {
    if (this != &other) {
      close();
      number_ = std::exchange(other.number_, -1);
    }
    return *this;
  }
  ~Fd() { close(); }

  int get() const noexcept { return number_; }
  bool open() const noexcept { return number_ >= 0; }
  void close() noexcept;

 private:
  int number_ = -1;
};

struct Pipe {
  Fd reader;
  Fd writer;
};

struct Sockets {
  Fd ours;
  Fd theirs;
};

Pipe make_pipe();
Pipe readable_pipe();     // with one byte in it
Sockets socket_pair();    // a connected pair of local stream sockets
Sockets tcp_pair();       // a connection over the loopback device
Fd refused_connection();  // a socket whose connect has been refused
Fd regular_file();        // empty, without a name
Fd duplicate(const Fd& of);

// Gives the file the number, whatever was open there before; nothing else stands for it after.
Fd move_to(int number, Fd file);

// Makes the number, which is open, stand for the same file as `of`.
void duplicate_onto(int number, const Fd& of);

// A number that is not open.
int closed_number();

void write_bytes(const Fd& to, std::size_t count = 1);
void read_bytes(const Fd& from, std::size_t count = 1);
void drain(const Fd& from);      // reads all there is
void fill(const Fd& to);         // writes until nothing more fits
void end_writing(const Fd& on);  // half-closes
void reset(Fd connection);       // closes it such that the peer gets a reset

}  // namespace event_cpp::test

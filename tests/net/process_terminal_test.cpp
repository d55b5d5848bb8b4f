// A child with a terminal of its own.
#include <termios.h>

#include <csignal>

#include "net/processes.hpp"
#include "support/process.hpp"

namespace event_cpp::test {
namespace {

using co::Task;
using net::Command;
using net::Exit;

class ProcessTerminalTest : public EveryStart {
 protected:
  static Command with_terminal(const std::string& script) {
    Command command("/bin/sh", {"-c", script});
    command.terminal.emplace();
    return command;
  }
  // Reads until the text has come.
  void await_text(net::Process& process, const std::string& wanted) {
    const auto read = [&]() -> Task<> {
      while (text.find(wanted) == std::string::npos) {
        const net::Chunk chunk = co_await process.terminal().receive();
        if (!chunk) break;
        text += chunk.text();
      }
    };
    run(read());
    EXPECT_NE(text.find(wanted), std::string::npos) << text;
  }
  std::string text;
};
ON_EVERY_START(ProcessTerminalTest);

TEST_P(ProcessTerminalTest, EndsAfterAllThatWasWrittenBeforeTheExit) {
  const net::Outcome outcome = run(with_terminal("echo one; echo two >&2; exit 3"));
  EXPECT_EQ(outcome.out, "one\r\ntwo\r\n");  // the terminal's own
  EXPECT_EQ(outcome.exited.code, 3);
  EXPECT_FALSE(outcome.abandoned);
  // Also if it is read only when the child has gone.
  net::Process process(base, with_terminal("echo late"));
  end_of(process);
  EXPECT_EQ(run(read_all(process.terminal())), "late\r\n");
}

TEST_P(ProcessTerminalTest, IsTheControllingTerminalOfASessionAndHasASize) {
  Command command = with_terminal("tty; stty size < /dev/tty");
  command.terminal->rows = 50;
  command.terminal->columns = 132;
  const net::Outcome outcome = run(command);
  EXPECT_NE(outcome.out.find("/dev/pts/"), std::string::npos) << outcome.out;
  EXPECT_NE(outcome.out.find("50 132"), std::string::npos) << outcome.out;
}

TEST_P(ProcessTerminalTest, ClosesTheEndOfTheChildHere) {
  const auto before = open_descriptors();
  {
    net::Process process(base, with_terminal("exit 0"));
    end_of(process);
    // Else the end would never come.
    EXPECT_EQ(run(read_all(process.terminal())), "");
  }
  settle();
  EXPECT_EQ(open_descriptors(), before);
}

TEST_P(ProcessTerminalTest, TakesInputAndItsEnd) {
  net::RunOptions options;
  options.input = "hello\n";
  const net::Outcome outcome =
      run(with_terminal("stty -echo; read line; cat > /dev/null; echo got $line"), options);
  EXPECT_NE(outcome.out.find("got hello"), std::string::npos) << outcome.out;
}

TEST_P(ProcessTerminalTest, EndsInputThatEndsInTheMiddleOfALine) {
  net::RunOptions options;
  options.input = "first\nhello";
  const net::Outcome outcome = run(with_terminal("stty -echo; wc -c"), options);
  EXPECT_NE(outcome.out.find("11"), std::string::npos) << outcome.out;
}

TEST_P(ProcessTerminalTest, TellsTheChildOfAnotherSize) {
  net::Process process(
      base,
      with_terminal("trap 'stty size; exit 0' WINCH; echo ready; while :; do sleep 0.01; done"));
  await_text(process, "ready");
  process.resize({33, 44});
  await_text(process, "33 44");
}

TEST_P(ProcessTerminalTest, HangsUpWhenItIsClosed) {
  net::Process process(base, with_terminal("echo ready; exec sleep 1000"));
  await_text(process, "ready");
  process.terminal().close();
  EXPECT_EQ(end_of(process).signal, SIGHUP);
}

TEST_P(ProcessTerminalTest, InterruptsByACharacter) {
  net::Process process(base, with_terminal("echo ready; exec sleep 1000"));
  await_text(process, "ready");
  EXPECT_EQ(process.terminal().try_write("\x03"), 1);
  EXPECT_EQ(end_of(process).signal, SIGINT);
}

}  // namespace
}  // namespace event_cpp::test

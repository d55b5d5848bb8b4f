"""tmux, by its own command line: a terminal for each pane, children that end, jobs, timers, clients.

One base, with signals and bufferevents. What it shows is read with capture-pane.
"""

import contextlib
import os
import pty
import select
import shlex
import subprocess
import time

from library import run, until

PACKAGES = ["tmux"]
CASES = {}


def case(function):
    CASES[function.__name__.replace("_", " ")] = function
    return function


class Tmux:
    def __init__(self, script, place):
        self.command = [str(script), "-S", str(place / "socket"), "-f", "/dev/null"]
        self.place = place
        self.environment = {**os.environ, "TERM": "screen", "SHELL": "/bin/sh", "PS1": "$ "}
        self.environment.pop("TMUX", None)

    def __call__(self, *arguments):
        output, status = run(self.command + list(arguments), 60, env=self.environment)
        assert status == 0, f"{arguments}: {status} {output}"
        return output

    def start(self, *command):
        self("new-session", "-d", "-s", "main", "-x", "200", "-y", "100", *command)

    def shows(self, target, text, seconds=30):
        return until(lambda: text in self("capture-pane", "-p", "-S-", "-t", target), seconds)

    def channel(self, name):
        """For a shell in a pane: says that it is there."""
        return f"{shlex.join(self.command)} wait-for -S {name}"


def judge(library, only=None):
    script = library.wrap("tmux")
    results = {}
    for name, function in CASES.items():
        if only is None or name in only:
            tmux = Tmux(script, library.empty_directory("tmux"))
            try:
                tmux.start("sh")
                function(tmux)
                tmux("kill-server")
                assert until(lambda: not is_up(tmux)), "the server does not end"
                results[name] = "passed"
            except AssertionError as error:
                print(f"tmux, {name}: {error}")
                results[name] = "failed"
            finally:
                run(tmux.command + ["kill-server"], 10)
    return results


def is_up(tmux):
    return run(tmux.command + ["list-sessions"], 10)[1] == 0


@case
def sessions_and_windows_come_and_go(tmux):
    for number in range(5):
        tmux("new-session", "-d", "-s", f"other{number}", "sh")
        tmux("new-window", "-t", f"other{number}", "sh")
    assert len(tmux("list-sessions").splitlines()) == 6
    assert len(tmux("list-windows", "-a").splitlines()) == 11
    for number in range(5):
        tmux("kill-session", "-t", f"other{number}")
    assert len(tmux("list-windows", "-a").splitlines()) == 1


@case
def keys_reach_the_shell(tmux):
    tmux("send-keys", "-t", "main", "echo $((6 * 7))x", "Enter")
    assert tmux.shows("main", "42x")


@case
def many_panes_with_output(tmux):
    for _ in range(19):
        tmux("split-window", "-t", "main", "sh")
        tmux("select-layout", "-t", "main", "tiled")
    for number in range(20):
        tmux("send-keys", "-t", f"main.{number}", f"seq 3000; echo end$(({number} + 1000))", "Enter")
    for number in range(20):
        assert tmux.shows(f"main.{number}", f"end{number + 1000}"), f"pane {number}"


@case
def no_line_of_much_output_is_lost(tmux):
    # For each line tmux makes its list of lines larger, which the address sanitizer copies each time.
    tmux("set-option", "-g", "history-limit", "200000")
    tmux("new-window", "-n", "much", f"seq 20000; {tmux.channel('done')}; cat")
    tmux("wait-for", "done")
    lines = tmux("capture-pane", "-p", "-S-", "-t", "much").split()
    assert lines == [str(number) for number in range(1, 20001)], f"{len(lines)} lines"


@case
def a_pane_is_copied_to_a_command(tmux):
    copy = tmux.place / "copy"
    tmux("pipe-pane", "-t", "main", f"cat >{copy}")
    tmux("send-keys", "-t", "main", "seq 20000; echo e''nd", "Enter")
    assert until(lambda: copy.exists() and b"\nend" in copy.read_bytes())
    lines = copy.read_text().splitlines()
    assert lines[1:20001] == [str(number) for number in range(1, 20001)]


@case
def a_window_closes_when_its_command_ends(tmux):
    for _ in range(20):
        tmux("new-window", "-d", "-t", "main:", "sleep 0.2")
    assert until(lambda: len(tmux("list-windows").splitlines()) == 1)


@case
def a_dead_pane_knows_its_status(tmux):
    tmux("set-option", "-g", "remain-on-exit", "on")
    tmux("new-window", "-n", "dead", "exit 7")
    asked = ("display-message", "-p", "-t", "dead", "#{pane_dead} #{pane_dead_status}")
    assert until(lambda: tmux(*asked) == "1 7\n")


@case
def jobs_run_and_are_waited_for(tmux):
    written = tmux.place / "written"
    tmux("run-shell", f"echo one >{written}; sleep 0.3; echo two >>{written}")
    assert written.read_text() == "one\ntwo\n"
    tmux("if-shell", "true", "set-option -g @answer yes", "set-option -g @answer no")
    assert tmux("show-options", "-gv", "@answer") == "yes\n"


@case
def a_delay_is_not_too_short(tmux):
    begin = time.monotonic()
    tmux("run-shell", "-d", "0.5", "true")
    assert time.monotonic() - begin >= 0.5


@case
def a_client_sees_and_types_and_is_detached(tmux):
    with attached(tmux) as (terminal, client):
        os.write(terminal, b"echo $((6 * 7))y\n")
        assert seen(terminal, b"42y"), "nothing seen"
        tmux("resize-window", "-t", "main", "-x", "60", "-y", "20")
        tmux("detach-client", "-s", "main")
        drained = until(lambda: seen(terminal, b"[detached", 0.1) or client.poll() is not None)
        assert drained and client.wait(10) == 0


@case
def the_status_line_is_drawn_anew(tmux):
    tmux("set-option", "-g", "status-interval", "1")
    tmux("set-option", "-g", "status-right", "%S seconds")
    with attached(tmux) as (terminal, _):
        assert seen(terminal, b" seconds") and seen(terminal, b" seconds"), "not drawn"


@contextlib.contextmanager
def attached(tmux):
    ours, theirs = pty.openpty()
    with subprocess.Popen(tmux.command + ["attach-session", "-t", "main"], stdin=theirs,
                          stdout=theirs, stderr=theirs, env=tmux.environment,
                          preexec_fn=os.setsid) as client:
        os.close(theirs)
        try:
            yield ours, client
        finally:
            client.kill()
            os.close(ours)


def seen(terminal, text, seconds=30):
    got = b""
    end = time.monotonic() + seconds
    while text not in got:
        ready, _, _ = select.select([terminal], [], [], max(0, end - time.monotonic()))
        if not ready:
            return False
        try:
            got += os.read(terminal, 65536)
        except OSError:  # the client has ended
            return False
    return True

"""unbound, with two threads: questions by UDP and TCP, answered by itself or by another server.

The other is a second unbound with the same library, so that both sides of the network are judged.
"""

import pathlib
import re
import signal
import subprocess

from library import free_port, run, server, until

PACKAGES = ["unbound", "bind9-dnsutils"]

CONFIGURATION = """\
server:
  interface: 127.0.0.1@{port}
  port: {port}
  num-threads: 2
  directory: "{place}"
  chroot: ""
  username: ""
  pidfile: "{place}/pid"
  use-syslog: no
  do-daemonize: no
  do-ip6: no
  do-not-query-localhost: no
  module-config: "iterator"
  local-zone: "test." nodefault
  edns-buffer-size: 1232
  max-udp-size: 1232
{more}
remote-control:
  control-enable: yes
  control-use-cert: no
  control-interface: "{place}/control"
"""
LOCAL = """\
  local-zone: "{zone}." static
  local-data: "a.{zone}. A 192.0.2.1"
  local-data: 'large.{zone}. TXT {large}'
"""
FORWARD = """\
forward-zone:
  name: "{zone}."
  forward-addr: 127.0.0.1@{port}
"""
LARGE = " ".join(f'"{letter * 250}"' for letter in "abcdefghijklmnop")


class Unbound:
    def __init__(self, library, name, zone, more=""):
        self.debian = library.debian
        self.place = library.empty_directory(name)
        self.port = free_port()
        local = LOCAL.format(zone=zone, large=LARGE)
        names = "".join(f'  local-data: "n{number}.{zone}. A 192.0.2.{number % 256}"\n'
                        for number in range(1000))
        file = self.place / "unbound.conf"
        file.write_text(CONFIGURATION.format(port=self.port, place=self.place,
                                             more=local + names + more))
        self.server = server([library.wrap("unbound"), "-d", "-c", file], self.port,
                             self.place / "log")
        self.environment = library.debian.environment

    def ask(self, *arguments):
        command = [self.debian.program("dig"), "@127.0.0.1", "-p", self.port, *arguments]
        return run(command, 120, env=self.environment)[0]

    def dig(self, *arguments):
        output = self.ask("+tries=3", *arguments)
        assert "timed out" not in output, output
        return output

    def control(self, *arguments):
        output, status = run([self.debian.program("unbound-control"), "-c",
                              self.place / "unbound.conf", *arguments], 60, env=self.environment)
        assert status == 0, f"{status} {output}"
        return output

    def answers_all(self, zone, *options):
        questions = self.place / "questions"
        questions.write_text("".join(f"n{number}.{zone} A\n" for number in range(1000)))
        lines = self.dig("-f", questions, "+short", *options).splitlines()
        answers = [line for line in lines if not line.startswith(";")]  # dig says that it tries again
        assert answers == [f"192.0.2.{number % 256}" for number in range(1000)], len(answers)


def judge(library, only=None):
    results = {}
    for function in (many_questions_to_itself, many_questions_that_are_forwarded,
                     what_is_too_large_comes_by_tcp, what_is_missing, a_server_that_is_silent,
                     it_can_be_controlled):
        case = function.__name__.replace("_", " ")
        if only is not None and case not in only:
            continue
        try:
            other = Unbound(library, "unbound-other", "there.test")
            unbound = Unbound(library, "unbound", "here.test",
                              FORWARD.format(zone="there.test", port=other.port))
            with other.server as upstream, unbound.server as process:
                function(unbound, upstream, process)
            results[case] = "passed"
        except (AssertionError, subprocess.SubprocessError) as error:
            print(f"unbound, {case}: {error}")
            results[case] = "failed"
    return results


def many_questions_to_itself(unbound, *_):
    unbound.answers_all("here.test")
    unbound.answers_all("here.test", "+tcp")
    unbound.answers_all("here.test", "+tcp", "+keepopen")


def many_questions_that_are_forwarded(unbound, *_):
    unbound.answers_all("there.test")
    unbound.control("flush_zone", "there.test")
    unbound.answers_all("there.test", "+tcp")


def what_is_too_large_comes_by_tcp(unbound, *_):
    for zone in ("here.test", "there.test"):
        cut = unbound.dig(f"large.{zone}", "TXT", "+ignore")
        assert re.search(r"flags:[^;]* tc", cut), cut
        whole = unbound.dig(f"large.{zone}", "TXT", "+short")
        assert whole.strip() == LARGE, whole


def what_is_missing(unbound, *_):
    for zone in ("here.test", "there.test"):
        assert "NXDOMAIN" in unbound.dig(f"none.{zone}")


def a_server_that_is_silent(unbound, upstream, _):
    upstream.send_signal(signal.SIGSTOP)
    for number in range(20):  # it tries again and again, meanwhile
        unbound.ask(f"n{number}.there.test", "+time=1", "+tries=1")
    unbound.answers_all("here.test")
    upstream.send_signal(signal.SIGCONT)
    assert until(lambda: "192.0.2.1\n" == unbound.ask("a.there.test", "+short", "+time=1"), 60)


def it_can_be_controlled(unbound, _, process):
    unbound.answers_all("here.test")
    for _ in range(5):
        unbound.control("reload")
        assert until(lambda: "is running" in status(unbound))
    unbound.answers_all("here.test")
    assert "total.num.queries" in unbound.control("stats")
    unbound.control("stop")
    assert process.wait(20) == 0
    assert not pathlib.Path(unbound.place / "pid").exists()


def status(unbound):
    try:
        return unbound.control("status")
    except AssertionError:  # it is on its way down or up
        return ""

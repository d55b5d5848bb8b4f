#!/usr/bin/env python3
"""Breaks the echo server in one way after the other, and checks that the load program finds each.

    tests/load/find_faults.py [build folder] [fault]...     default: build/release, all faults

Each fault is an edit of a copy of the sources of examples/, built against the library and put under
`event_load --quick`, which must fail and say why. A few minutes in all.
"""

import concurrent.futures
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]

# name: (file in examples/, what is there, what is there instead, what event_load must say)
FAULTS = {
    "loses a byte": (
        "echo_server.cpp",
        "  net::Io sent = stream_.try_write(bytes);\n",
        "  static unsigned turn = 0;\n"
        "  const bool loses = ++turn % 1000 == 0;\n"
        "  net::Io sent = stream_.try_write(bytes.subspan(loses ? 1 : 0));\n"
        "  if (loses && sent > 0) ++sent;\n",
        r"something else came back|stuck|closed before all|bytes sent"),
    "forgets what did not fit": (
        "echo_server.cpp",
        "  unsent_ = bytes.text().substr(static_cast<std::size_t>(sent));\n",
        "  unsent_ = bytes.text().substr(static_cast<std::size_t>(sent + got) / 2);\n",
        r"something else came back|stuck|closed before all"),
    "answers someone else": (
        "echo_server.cpp",
        "  unsent_ = bytes.text().substr(static_cast<std::size_t>(sent));\n",
        "  static std::string last;\n"
        "  const std::string rest(bytes.text().substr(static_cast<std::size_t>(sent)));\n"
        "  last.resize(rest.size());\n  unsent_ = last;\n  last = rest;\n",
        r"something else came back"),
    "forgets memory of each connection": (
        "echo_server.cpp",
        "++statistics_.connections;",
        "++statistics_.connections;\n"
        "    static char* volatile forgotten;\n    forgotten = new char[8];",
        r"bytes in \d+ blocks, not"),
    "keeps a descriptor of a connection that was reset": (
        "echo_server.cpp",
        "    } else if (error) {\n",
        "    } else if (error) {\n      static int kept = ::dup(fd);\n      (void)kept;\n",
        r"as many connections as there are clients"),
    "does not read again after it was held up": (
        "echo_server.cpp",
        "  stream_.on_writable({});\n  listen();\n}",
        "  stream_.on_writable({});\n}",
        r"stuck: |have caught up|held up by clients that do not read"),
    "reads on although answers are not taken": (
        "echo_server.cpp",
        ("  net::Io sent = stream_.try_write(bytes);\n",
         "  unsent_ = bytes.text().substr(static_cast<std::size_t>(sent));\n"
         "  stream_.on_readable({});\n"),
        ("  net::Io sent = unsent_.empty() ? stream_.try_write(bytes) : 0;\n",
         "  unsent_ += bytes.text().substr(static_cast<std::size_t>(sent));\n"),
        r"took all that although no answer was read"),
    "does not accept again after a shortage": (
        "support/server.hpp",
        ("  listener.on_error([&base", "    if (base.now() < *next) return;\n"),
        ("  listener.on_error([&listener, &base",
         "    listener.on_accept({});\n    if (base.now() < *next) return;\n"),
        r"take the places of those who left|late client \d+: stuck"),
    "wakes up all the time": (
        "echo_server.cpp",
        "const support::StopOnSignal stop(base);",
        "const support::StopOnSignal stop(base);\n"
        "    event::Ticker often(base, [] {});\n    often.attach(std::chrono::microseconds(5));",
        r"(keeps waking up|spins) although all|the server has done all that it can"),
    "gives up connections that say nothing": (
        "echo_server.cpp",
        "stream_.idle_timeout(server.idle());",
        "stream_.idle_timeout(std::chrono::milliseconds(300));",
        r"the server closed too early|send: |recv: "),
}


def broken(text, before, after):
    if isinstance(before, tuple):
        for one, other in zip(before, after):
            text = broken(text, one, other)
        return text
    if text.count(before) != 1:
        raise SystemExit(f"the sources do not have this once any more: {before}")
    return text.replace(before, after)


def build(build_folder, edit, folder):
    name, before, after, _ = edit
    examples = folder / "examples"
    shutil.copytree(ROOT / "examples", examples)
    source = examples / name
    source.write_text(broken(source.read_text(), before, after))
    server = folder / "echo_server"
    libraries = [build_folder / f"libevent-cpp{floor}.a" for floor in ["-net", "-co", ""]]
    subprocess.run(["c++", "-std=c++20", "-I", ROOT / "include", "-I", examples,
                    examples / "echo_server.cpp", examples / "support/command_line.cpp",
                    "-o", server, *libraries, "-pthread"], check=True)
    return server


def finds(build_folder, name):
    with tempfile.TemporaryDirectory() as folder:
        server = build(build_folder, FAULTS[name], pathlib.Path(folder))
        command = [build_folder / "tests/load/event_load", "--quick", "--backend", "epoll"]
        run = subprocess.run(command + ["--program", server], capture_output=True, text=True,
                             timeout=900)
    said = run.stdout.splitlines()
    why = [line for line in said if re.search(FAULTS[name][3], line)]
    found = run.returncode == 1 and bool(why)
    print(f"{'found ' if found else 'MISSED'}  {name}: {why[0] if why else said[-3:]}", flush=True)
    return found


def main():
    build_folder = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else ROOT / "build/release")
    build_folder = build_folder.resolve()
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        found = pool.map(lambda name: finds(build_folder, name), sys.argv[2:] or FAULTS)
        return 0 if all(list(found)) else 1


if __name__ == "__main__":
    sys.exit(main())

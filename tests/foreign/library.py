"""One of the two libraries, and how a program is started with it."""

import contextlib
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import time

SANITIZERS = {"asan": "libasan.so", "tsan": "libtsan.so"}
OPTIONS = {
    # What Debian's programs keep until they end is not looked at.
    "ASAN_OPTIONS": "detect_leaks=0:detect_stack_use_after_return=1:use_sigaltstack=0",
    "UBSAN_OPTIONS": "print_stacktrace=1",
    "TSAN_OPTIONS": "report_signal_unsafe=0",
}


class Library:
    """`directory` has libevent-2.1.so.7 and its other names; None: Debian's own, of the machine."""

    def __init__(self, title, debian, scratch, directory=None, backend="epoll", preset="release"):
        self.title = title
        self.debian = debian
        self.scratch = pathlib.Path(scratch)
        self.directory = directory
        path = [str(place) for place in (directory, debian.libraries) if place]
        self.environment = {"LD_LIBRARY_PATH": ":".join(path)}
        # Both libraries know this one.
        if backend == "poll":
            self.environment["EVENT_NOEPOLL"] = "1"
        self.prefix = []
        if directory and preset in SANITIZERS:
            runtime = subprocess.run(["g++", f"-print-file-name={SANITIZERS[preset]}"], check=True,
                                     text=True, stdout=subprocess.PIPE).stdout.strip()
            self.environment["LD_PRELOAD"] = str(pathlib.Path(runtime).resolve())
            self.prefix = ["setarch", "-R"] if preset == "tsan" else []
            reports = f"log_path={self.scratch}/report"
            self.environment.update(
                {name: f"{value}:{reports}" for name, value in OPTIONS.items()})

    def empty_directory(self, name):
        directory = self.scratch / name
        shutil.rmtree(directory, ignore_errors=True)
        directory.mkdir(parents=True)
        return directory

    def wrap(self, program, at=None, under=()):
        """A script that starts the program with this library, under another one if that is given."""
        program = self.debian.program(program) if isinstance(program, str) else program
        self._check(program)
        script = pathlib.Path(at or self.scratch / "bin" / program.name)
        script.parent.mkdir(parents=True, exist_ok=True)
        settings = [f"{name}={value}" for name, value in self.environment.items()]
        command = " ".join(self.prefix + ["env"] + settings + [str(part) for part in (*under, program)])
        script.unlink(missing_ok=True)
        script.write_text(f'#!/bin/sh\nexec {command} "$@"\n')
        script.chmod(0o755)
        return script

    def _check(self, program):
        environment = {"LD_LIBRARY_PATH": self.environment["LD_LIBRARY_PATH"]}
        lines = subprocess.run(["ldd", program], check=True, text=True, stdout=subprocess.PIPE,
                               env={**os.environ, **environment}).stdout.splitlines()
        used = [line.split()[2] for line in lines if "libevent" in line]
        if not used or any(line.endswith("not found") for line in lines):
            raise RuntimeError(f"{program} does not start with {self.title}: {lines}")
        if any((self.directory is not None) != path.startswith(str(self.directory)) for path in used):
            raise RuntimeError(f"{program} would not use {self.title}: {used}")

    def reports(self):
        """What a sanitizer had to say since this was asked."""
        texts = []
        for file in self.scratch.glob("report.*"):
            texts.append(file.read_text(errors="replace"))
            file.unlink()
        return texts


def until(condition, seconds=30):
    """Whether the condition came true."""
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(0.02)
    return True


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def listens(port):
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) == 0


@contextlib.contextmanager
def server(command, port, log, **options):
    """Runs while something is done with it; it is there when that begins."""
    with open(log, "w", encoding="utf-8") as output:
        process = subprocess.Popen([str(part) for part in command], stdin=subprocess.DEVNULL,
                                   stdout=output, stderr=output, start_new_session=True, **options)
    try:
        if not until(lambda: process.poll() is not None or listens(port)) or process.poll():
            raise RuntimeError(f"{command[0]} does not serve: {pathlib.Path(log).read_text()}")
        yield process
    finally:
        end_group(process, signal.SIGTERM)  # strace lets only the program itself end by that
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            pass
        end_group(process)


def end_group(process, signo=signal.SIGKILL):
    try:
        os.killpg(process.pid, signo)
    except ProcessLookupError:
        pass
    if signo == signal.SIGKILL:
        process.wait()


def run(command, seconds, **options):
    """Its output and exit status; None if it took too long. It leaves no process of its group."""
    process = subprocess.Popen([str(part) for part in command], stdin=subprocess.DEVNULL,
                               stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                               errors="replace", start_new_session=True, **options)
    try:
        output, _ = process.communicate(timeout=seconds)
        return output, process.returncode
    except subprocess.TimeoutExpired:
        end_group(process)
        return process.communicate()[0], None
    finally:
        end_group(process)

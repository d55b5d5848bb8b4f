"""gearmand, with four threads and libevent's locks: jobs of many clients, workers that come and go.

Its own tools are workers and clients; what they do must come out whole.
"""

import concurrent.futures
import contextlib
import os
import re
import subprocess

from library import end_group, free_port, run, server, until

PACKAGES = ["gearman-job-server", "gearman-tools"]


class Gearman:
    def __init__(self, library, port, place):
        self.debian = library.debian
        self.port = str(port)
        self.place = place
        self.environment = library.debian.environment

    def command(self, tool, *arguments):
        return [str(self.debian.program(tool)), "-h", "127.0.0.1", "-p", self.port, *arguments]

    def client(self, function, text, *options):
        output, status = run(self.command("gearman", "-f", function, *options, text), 60,
                             env=self.environment)
        assert status == 0, f"{status} {output}"
        return output

    def admin(self, *arguments):
        output, status = run(self.command("gearadmin", *arguments), 60, env=self.environment)
        assert status == 0, f"{status} {output}"
        return output

    @contextlib.contextmanager
    def workers(self, function, command, count=1):
        processes = [subprocess.Popen(self.command("gearman", "-w", "-f", function, "--", *command),
                                      env=self.environment, stdin=subprocess.DEVNULL,
                                      stdout=subprocess.DEVNULL, start_new_session=True)
                     for _ in range(count)]
        try:
            assert until(lambda: self.status(function)[2] == count), "no worker"
            yield processes
        finally:
            for process in processes:
                end_group(process)

    def status(self, function):
        """Jobs that wait or run, jobs that run, workers."""
        found = re.search(rf"^{function}\t(\d+)\t(\d+)\t(\d+)$", self.admin("--status"), re.M)
        return tuple(map(int, found.groups())) if found else (0, 0, 0)


def judge(library, only=None):
    script = library.wrap("gearmand")
    results = {}
    for function in (jobs_of_many_clients, large_jobs, jobs_in_the_background,
                     a_job_whose_worker_dies_is_given_to_another, many_idle_connections,
                     an_answer_to_each_command, the_server_ends_when_told):
        case = function.__name__.replace("_", " ")
        if only is not None and case not in only:
            continue
        place = library.empty_directory("gearmand")
        port = free_port()
        command = [script, "-L", "127.0.0.1", "-p", port, "-t", "4", "-l", place / "gearmand.log",
                   "-P", place / "pid"]
        if os.geteuid() == 0:
            command += ["-u", "root"]
        try:
            with server(command, port, place / "log") as process:
                function(Gearman(library, port, place), process)
            results[case] = "passed"
        except (AssertionError, subprocess.SubprocessError) as error:
            print(f"gearmand, {case}: {error}")
            results[case] = "failed"
    return results


def jobs_of_many_clients(gearman, _):
    with gearman.workers("upper", ["tr", "a-z", "A-Z"], 3):
        texts = [f"job number {number}" for number in range(200)]
        with concurrent.futures.ThreadPoolExecutor(max_workers=8) as pool:
            answers = list(pool.map(lambda text: gearman.client("upper", text), texts))
        assert answers == [text.upper() for text in texts]


def large_jobs(gearman, _):
    text = "0123456789abcdef" * 6000  # about as much as an argument may have
    with gearman.workers("copy", ["cat"]):
        for _ in range(20):
            assert gearman.client("copy", text) == text


def jobs_in_the_background(gearman, _):
    with gearman.workers("later", ["sh", "-c", f"cat >>{gearman.place}/done; echo >>{gearman.place}/done"]):
        for number in range(50):
            gearman.client("later", str(number), "-b")
        assert until(lambda: gearman.status("later")[0] == 0)
    lines = (gearman.place / "done").read_text().split()
    assert sorted(map(int, lines)) == list(range(50))


def a_job_whose_worker_dies_is_given_to_another(gearman, _):
    with gearman.workers("slow", ["sleep", "100"]) as first:
        gearman.client("slow", "x", "-b")
        assert until(lambda: gearman.status("slow")[1] == 1), "does not begin"
        end_group(first[0])
        assert until(lambda: gearman.status("slow") == (1, 0, 0)), "does not wait again"
    with gearman.workers("slow", ["true"]):
        assert until(lambda: gearman.status("slow")[0] == 0), "is not done"


def many_idle_connections(gearman, _):
    with gearman.workers("copy", ["cat"], 60):
        assert gearman.client("copy", "text") == "text"
    assert until(lambda: gearman.status("copy")[2] == 0), "they are not missed"


def an_answer_to_each_command(gearman, _):
    assert re.search(r"\d+\.\d+", gearman.admin("--server-version"))
    for _ in range(50):
        gearman.admin("--create-function", "made")
        assert gearman.status("made") == (0, 0, 0)
        gearman.admin("--drop-function", "made")
    gearman.admin("--workers")


def the_server_ends_when_told(gearman, process):
    with gearman.workers("copy", ["cat"], 5):
        process.terminate()
        assert process.wait(20) == 0

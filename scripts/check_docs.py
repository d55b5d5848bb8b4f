#!/usr/bin/env python3
"""Fails if a document says what is not so:

    scripts/check_docs.py links                       relative links lead to files
    scripts/check_docs.py headers                     the guide's table of headers has each of them once,
                                                      with the library that it belongs to
    scripts/check_docs.py platforms                   the README's table of systems is what is built
    scripts/check_docs.py tests FOLDER                tests that are named `Suite.Name` are in
                                                      the programs *_tests in the folder of a build
    scripts/check_docs.py snippets COMPILER FILE...
                                                      C++ blocks compile, run, and print what is shown;
                                                      each file is a library, or a document: *.md

A C++ block with a main() is a program. Any other goes into a function that has what the text around it
speaks of, and ends at the first call of its callback. A block ```text right behind a program is what it
prints. Compiled one by one, beside each other, with warnings as errors, and run for 20 s at most. A
block ```cpp server is a program that runs until it is stopped: it is, after a second. Blocks that
include the header of a library which is not built everywhere are left out if it is not among the files.
One that begins with ```cpp with NAME is compiled only, and if pkg-config knows the library NAME.
"""

import os
import pathlib
import re
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from check_portable import Platform

ROOT = pathlib.Path(__file__).resolve().parent.parent
SECONDS = 20

# ----------------------------------------------------------------------------------------- snippets

OPTIONAL_LIBRARIES = ["dns", "tls"]
DOCUMENTS_WITH_SNIPPETS = ["README.md", "docs/guide.md"]
SNIPPET = re.compile(r"^```cpp(?P<server> server)?(?: with (?P<library>\S+))?\n(?P<code>.*?)^```$(?:\n+```text\n(?P<output>.*?)^```$)?", re.M | re.S)
FLAGS = ["-std=c++20", "-Wall", "-Wextra", "-Wpedantic", "-Wshadow", "-Werror"]
FRAME = """
#include <unistd.h>
#include <csignal>
#include <cstdlib>
#include <event/event.hpp>
using namespace std::chrono_literals;
using event::Events;
using event::Priority;
void snippet(int fd, void (*callback)());
void snippet([[maybe_unused]] int fd, [[maybe_unused]] void (*callback)()) {
#line %d "%s"
%s}
int main() {
  int ends[2];
  if (::pipe(ends) != 0 || ::write(ends[1], "x", 1) != 1) return 1;
  snippet(ends[0], [] { std::exit(0); });
}
"""


@dataclass
class Snippet:
    document: str
    line: int
    program: str
    output: str | None
    serves: bool
    library: str | None

    @property
    def place(self):
        return f"{self.document}:{self.line}"


def snippets_of(document, text):
    for match in SNIPPET.finditer(text):
        line = text.count("\n", 0, match.start()) + 2
        code = match["code"]
        program = (f'#line {line} "{document}"\n{code}' if "int main(" in code
                   else FRAME % (line, document, code))
        yield Snippet(document, line, program, match["output"], match["server"] is not None,
                      match["library"])


def fault_of_server(program):
    with subprocess.Popen([str(program)], stdin=subprocess.DEVNULL) as server:
        try:
            return f"ends with status {server.wait(timeout=1)}"
        except subprocess.TimeoutExpired:
            server.kill()
    return None


def fault_with_library(snippet, compiler):
    found = subprocess.run(["pkg-config", "--cflags-only-I", snippet.library], text=True,
                           capture_output=True, check=False)
    if found.returncode:
        print(f"{snippet.place}: left out, as {snippet.library} is not there")
        return None
    includes = [part for flag in found.stdout.split() for part in ("-isystem", flag[2:])]
    compiled = subprocess.run(
        [compiler, *FLAGS, f"-I{ROOT / 'include'}", *includes, "-x", "c++", "-fsyntax-only", "-"],
        input=snippet.program, text=True, capture_output=True, check=False)
    return f"does not compile:\n{compiled.stderr}" if compiled.returncode else None


def fault_of(snippet, number, compiler, libraries, work):
    """What is wrong with a snippet; nothing if it does what the document says."""
    if snippet.library is not None:
        return fault_with_library(snippet, compiler)
    program = work / f"snippet{number}"
    compiled = subprocess.run(
        [compiler, *FLAGS, f"-I{ROOT / 'include'}", "-include", precompiled_for(snippet, work), "-x", "c++",
         "-", "-x", "none", *libraries, "-pthread", "-o", str(program)],
        input=snippet.program, text=True, capture_output=True, check=False)
    if compiled.returncode:
        return f"does not compile:\n{compiled.stderr}"
    if snippet.serves:
        return fault_of_server(program)
    try:
        run = subprocess.run([str(program)], stdin=subprocess.DEVNULL, text=True, capture_output=True,
                             timeout=SECONDS, check=False)
    except subprocess.TimeoutExpired:
        return f"does not end within {SECONDS} s"
    if run.returncode:
        return f"ends with status {run.returncode}:\n{run.stdout}{run.stderr}"
    if run.stdout != (snippet.output or ""):
        return f"prints:\n{run.stdout}"
    return None


# Parsing the library's headers is most of the work, so these are parsed once. A snippet is compiled with
# the first of them that it includes.
PRECOMPILED = ["net", "event"]


def precompiled_for(snippet, work):
    header = next((each for each in PRECOMPILED if f"#include <event/{each}.hpp>" in snippet.program),
                  PRECOMPILED[-1])
    return str(work / f"{header}.hpp")


def precompile(header, compiler, work):
    source = work / f"{header}.hpp"
    source.write_text(f"#include <event/{header}.hpp>\n", encoding="ascii")
    suffix = "pch" if "clang" in pathlib.Path(compiler).name else "gch"
    subprocess.run([compiler, *FLAGS, "-pthread", f"-I{ROOT / 'include'}", "-x", "c++-header", str(source),
                    "-o", f"{source}.{suffix}"], check=True)


def can_be_linked(snippet, libraries):
    return all(any(f"libevent-cpp-{name}." in library for library in libraries)
               for name in OPTIONAL_LIBRARIES if f"#include <event/{name}.hpp>" in snippet.program)


def check_snippets(compiler, *files):
    documents = [file for file in files if file.endswith(".md")]
    libraries = [os.path.abspath(file) for file in files if not file.endswith(".md")]
    snippets = [snippet for document in documents or DOCUMENTS_WITH_SNIPPETS
                for snippet in snippets_of(document, (ROOT / document).read_text(encoding="utf-8"))
                if can_be_linked(snippet, libraries)]
    wrong = 0
    with tempfile.TemporaryDirectory() as directory:
        work = pathlib.Path(directory)
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            list(pool.map(lambda header: precompile(header, compiler, work), PRECOMPILED))
            faults = pool.map(
                lambda each: fault_of(each[1], each[0], compiler, libraries, work),
                enumerate(snippets))
            for snippet, fault in zip(snippets, faults):
                if fault:
                    wrong += 1
                    print(f"{snippet.place}: {fault}")
    print(f"{len(snippets)} snippets, {wrong} of them wrong")
    return wrong == 0 and bool(snippets)

# -------------------------------------------------------------------------------------------- tests


DOCUMENTS_WITH_TESTS = ["docs/maintainers/traps.md", "docs/reliability.md", "SECURITY.md"]
# Suites and tests are in PascalCase, which `CHANGELOG.md` is not.
TEST_NAME = re.compile(r"`(\w+\.[A-Z]\w+)`")


def tests_of(program):
    """Suite.Name of each test, without what parameters put before and behind."""
    listed = subprocess.run([program, "--gtest_list_tests"], check=True, capture_output=True,
                            text=True).stdout
    suite = ""
    for line in listed.splitlines():
        name = line.split("#")[0].strip()
        if not line.startswith(" "):
            suite = name.rstrip(".").split("/")[-1]
        elif name:
            yield f"{suite}.{name.split('/')[0]}"


def tests_of_other_builds():
    """The same of each file all of which is inside #if EVENT_HAVE_<BACKEND>."""
    for file in sorted((ROOT / "tests").rglob("*_test.cpp")):
        text = file.read_text(encoding="utf-8")
        if re.search(r"^#if EVENT_HAVE_\w+$", text, re.M) and text.rstrip().endswith("#endif"):
            for suite, name in re.findall(r"^(?:BACKEND_)?TEST(?:_F|_P)?\((\w+),\s*(\w+)\)", text, re.M):
                yield f"{suite}.{name}"


def check_tests(folder):
    programs = sorted(pathlib.Path(folder).glob("*_tests"))
    known = set(tests_of_other_builds()).union(*(tests_of(program) for program in programs))
    named = unknown = 0
    for document in DOCUMENTS_WITH_TESTS:
        text = (ROOT / document).read_text(encoding="utf-8")
        on_page = set(TEST_NAME.findall(text)) - {"Suite.Name"}
        named += len(on_page)
        for name in sorted(on_page - known):
            unknown += 1
            print(f"{document}: no such test: {name}")
    print(f"{named} tests named, {unknown} of them unknown")
    return unknown == 0 and named > 0

# ---------------------------------------------------------------------------------------- platforms


CMAKE_NAMES = {"macOS": "Darwin"}


def systems():
    """The backends of each system, as the README has them."""
    rows = [
        [cell.strip() for cell in line.strip("|\n").split("|")]
        for line in (ROOT / "README.md").read_text(encoding="utf-8").splitlines()
        if line.startswith("|")
    ]
    start = next(i for i, row in enumerate(rows) if row[0] == "system")
    backends = rows[start][1:]
    for row in rows[start + 2:]:
        if len(row) != len(backends) + 1:
            return
        yield row[0], {name for name, cell in zip(backends, row[1:]) if cell != "-"}


def check_platforms():
    wrong = supported = 0
    for system, backends in systems():
        if not backends:
            continue
        supported += 1
        built = set(Platform(CMAKE_NAMES.get(system, system)).backends)
        if backends != built:
            wrong += 1
            print(f"README.md: {system} has {sorted(backends)}; the build: {sorted(built)}")
    print(f"{supported} systems, {wrong} of them wrong")
    return wrong == 0 and supported > 0

# -------------------------------------------------------------------------------------------- links


LINK = re.compile(r"\]\(([^)#:\s]*)(#[^)\s]+)?\)")


def anchors_of(text):
    """What a heading is linked by, as GitHub makes it."""
    for heading in re.findall(r"^#+ (.*)$", text, re.M):
        words = re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", heading).lower()
        yield "#" + re.sub(r"[^\w\- ]", "", words).strip().replace(" ", "-")


def check_links():
    documents = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]
    links = wrong = 0
    for document in sorted(documents):
        for path, anchor in LINK.findall(document.read_text(encoding="utf-8")):
            links += 1
            target = document.parent / path if path else document
            found = target.exists()
            if found and anchor and target.suffix == ".md":
                found = anchor in anchors_of(target.read_text(encoding="utf-8"))
            if not found:
                wrong += 1
                print(f"{document.relative_to(ROOT)}: leads nowhere: {path}{anchor}")
    print(f"{links} links, {wrong} of them lead nowhere")
    return wrong == 0 and links > 0

# ------------------------------------------------------------------------------------------ headers


HEADER_ROW = re.compile(r"^\| \[`event/(?P<header>[\w/]+)\.hpp`\].*\| `event::(?P<library>\w+)`[^|]*\|$", re.M)


def library_of(header):
    """Of one of the adapters any: the table says which."""
    part = header.split("/")[0]
    if part == "adapters":
        return None
    return part if (ROOT / "include" / "event" / part).is_dir() else "event"


def faults_of_headers(text, headers):
    """What is wrong with the table in `text`, whose rows should be `headers`."""
    rows = HEADER_ROW.findall(text)
    named = [header for header, _ in rows]
    for header in sorted(set(headers) - set(named)):
        yield f"not in the table: {header}.hpp"
    for header, library in rows:
        if header not in headers or named.count(header) > 1:
            yield f"no public header, or named twice: {header}.hpp"
        elif library_of(header) not in (None, library):
            yield f"{header}.hpp is not of event::{library}"


def check_headers():
    folder = ROOT / "include" / "event"
    headers = {str(file.relative_to(folder).with_suffix(""))
               for pattern in ("*.hpp", "*/*.hpp") for file in folder.glob(pattern)
               if file.parent.name != "detail"}
    faults = list(faults_of_headers((ROOT / "docs" / "guide.md").read_text(encoding="utf-8"), headers))
    for fault in faults:
        print(f"docs/guide.md: {fault}")
    print(f"{len(headers)} headers, {len(faults)} faults")
    return not faults and bool(headers)


PARTS = {"links": (check_links, 0), "headers": (check_headers, 0), "platforms": (check_platforms, 0),
         "tests": (check_tests, 1), "snippets": (check_snippets, 2)}


def main():
    name, *arguments = sys.argv[1:] or [""]
    check, least = PARTS.get(name, (None, 0))
    if check is None or len(arguments) < least:
        sys.exit(__doc__)
    sys.exit(0 if check(*arguments) else 1)


if __name__ == "__main__":
    main()

#!/usr/bin/env python3
"""Finds coroutines that g++ 12 miscompiles, and lambdas whose captures a coroutine outlives.

    scripts/check_coroutines.py FILE_OR_FOLDER...

Prints file:line, what is unsafe and what to write instead; the exit status is 1 if there is anything.
docs/coroutines.md has the forms. The sources are read as text: types are not known, so that a form is
also reported where it does no harm (a braced struct of numbers). Macros are not expanded.
"""

import pathlib
import re
import sys
from dataclasses import dataclass, field

SUFFIXES = {".cpp", ".cc", ".cxx", ".hpp", ".hh", ".h", ".ipp"}

TOKEN = re.compile(
    r"""(?P<skip>\s+|//[^\n]*|/\*.*?\*/|^[ \t]*\#(?:\\\n|[^\n])*)
      |(?P<literal>(?:u8|[uUL])?R"(?P<mark>[^\s()\\]*)\(.*?\)(?P=mark)"
                  |(?:u8|[uUL])?"(?:\\.|[^"\\\n])*" | (?:u8|[uUL])?'(?:\\.|[^'\\\n])+'
                  |\.?\d(?:'?[\w.])*)
      |(?P<word>[A-Za-z_]\w*)
      |(?P<sign>::|->|==|!=|<=|>=|&&|\|\||.)""",
    re.S | re.M | re.X)

IN_CONDITION = "co_await in a condition; await into a variable: const auto x = co_await ...;"
CHOICE = "?: beside co_await; use if, or choose into a variable before"
BRACES = "braces beside co_await; make a variable of it, and await that: f(std::move(x))"
AWAIT_IN_BRACES = "co_await inside braces; await into a variable first"
COPY = "lambda that captures by copy beside co_await; give the lambda a name: auto f = [...] ...;"
DANGLES = ("coroutine lambda with captures is called at once, and outlives its captures; pass "
           "arguments instead, or give the lambda to TaskGroup::spawn()")

AFTER_PARAMETERS = {"const", "noexcept", "override", "final"}


@dataclass
class Token:
    text: str
    line: int
    is_word: bool = False


@dataclass
class Group:
    """A pair of brackets and what is in between."""

    text: str  # the opening bracket
    line: int
    items: list = field(default_factory=list)
    captures: "Group | None" = None  # of a lambda's body: its introducer
    called: bool = False             # of a lambda's body: an argument list follows
    is_word = False


def tree_of(text):
    """Tokens and groups of a source text."""
    top = []
    stack = [top]
    line = 1
    for match in TOKEN.finditer(text):
        if match["skip"] is None:
            token = match[0]
            if token in ("(", "[", "{"):
                group = Group(token, line)
                stack[-1].append(group)
                stack.append(group.items)
            elif token in (")", "]", "}"):
                if len(stack) > 1:
                    stack.pop()
            else:
                stack[-1].append(Token(token, line, match["word"] is not None))
        line += match[0].count("\n")
    return top


def is_group(item, bracket):
    return isinstance(item, Group) and item.text == bracket


def is_introducer(items, i):
    """Whether the [...] at i begins a lambda, and is no subscript, binding or attribute."""
    if not is_group(items[i], "["):
        return False
    before = items[i - 1] if i > 0 else None
    if before is not None:
        if before.is_word and before.text not in ("return", "co_return", "co_await", "co_yield", "case"):
            return False
        if isinstance(before, Group) and before.text in ("(", "["):
            return False
    return not (len(items[i].items) == 1 and is_group(items[i].items[0], "["))


def mark_lambdas(items):
    """Finds the body of each lambda."""
    for i, item in enumerate(items):
        if isinstance(item, Group):
            mark_lambdas(item.items)
        if not is_introducer(items, i):
            continue
        for j in range(i + 1, len(items)):
            if items[j].text in (";", "="):
                break
            if is_group(items[j], "{"):
                items[j].captures = item
                items[j].called = j + 1 < len(items) and is_group(items[j + 1], "(")
                break


def parts_of(items, separator):
    parts = [[]]
    for item in items:
        if item.text == separator:
            parts.append([])
        else:
            parts[-1].append(item)
    return parts


def captures_by_copy(introducer):
    for part in parts_of(introducer.items, ","):
        if part and part[0].text != "&" and not (len(part) == 1 and part[0].text == "this"):
            return True
    return False


def within(items, callers=()):
    """All items of an expression, and the words before the brackets around them; no lambda's body."""
    for i, item in enumerate(items):
        yield item, callers
        if isinstance(item, Group) and item.captures is None:
            before = items[i - 1].text if i > 0 and items[i - 1].is_word else ""
            yield from within(item.items, (*callers, before) if item.text == "(" else callers)


def awaits(items):
    return any(item.text == "co_await" for item, _ in within(items))


def is_coroutine(body):
    return any(item.text in ("co_await", "co_return", "co_yield") for item, _ in within(body.items))


def is_declaration(items):
    """Whether it begins as `Type name =`."""
    for i, item in enumerate(items):
        if item.text == "=":
            return (i > 1 and items[i - 1].is_word
                    and (items[i - 2].is_word or items[i - 2].text in (">", "&", "*", "&&")))
    return False


class Checker:
    def __init__(self):
        self.found = []

    def report(self, item, what):
        self.found.append((item.line, what))

    def expression(self, items):
        has_await = awaits(items)
        for item, callers in within(items):
            if item.text == "?" and has_await:
                self.report(item, CHOICE)
            elif is_group(item, "{") and item.captures is None and has_await:
                self.report(item, AWAIT_IN_BRACES if awaits(item.items) else BRACES)
            elif is_group(item, "{") and item.captures is not None:
                if has_await and captures_by_copy(item.captures):
                    self.report(item.captures, COPY)
                elif (not has_await and item.called and item.captures.items and is_coroutine(item)
                      and not any(re.search(r"(^|_)run($|_)", caller) for caller in callers)):
                    self.report(item.captures, DANGLES)

    def condition(self, keyword, parts):
        tested = 1 if keyword == "for" else len(parts) - 1
        for i, part in enumerate(parts):
            if i == tested and awaits(part) and not is_declaration(part):
                self.report(next(item for item, _ in within(part) if item.text == "co_await"), IN_CONDITION)
            self.expression(part)

    def statement(self, items):
        while items and items[0].text in ("else", "do", "try"):
            items = items[1:]
        if not items:
            return
        if items[0].text in ("if", "while", "switch", "for"):
            for i, item in enumerate(items[:3]):
                if is_group(item, "("):
                    self.condition(items[0].text, parts_of(item.items, ";"))
                    return self.statement(items[i + 1:])
        self.expression(items)

    @staticmethod
    def is_block(before, group):
        """Whether {...} holds statements or members, and is no initializer."""
        if group.captures is not None:
            return False
        if not before:
            return True
        last = before[-1]
        if last.text in ("else", "do", "try", ":", "{", "(") or last.text in AFTER_PARAMETERS:
            return True
        words = [item.text for item in before if item.is_word]
        if words and words[0] == "template":
            words = [word for word in words if word in ("struct", "class", "union")][-1:] or words
        if "=" not in [item.text for item in before] and words and words[0] in (
                "struct", "class", "union", "enum", "namespace", "extern", "inline"):
            return True
        # The return type of a function: f(...) const -> Type {
        return any(item.text == "->" and (is_group(before[i], "(") or before[i].text in AFTER_PARAMETERS)
                   for i, item in enumerate(before[1:])) and not any(
                       is_introducer(before, i) for i in range(len(before)))

    def block(self, items):
        pending = []
        for item in items:
            if item.text == ";" and not isinstance(item, Group):
                self.statement(pending)
                pending = []
            elif is_group(item, "{") and self.is_block(pending, item):
                self.statement(pending)
                pending = []
                self.block(item.items)
            else:
                pending.append(item)
                if isinstance(item, Group):
                    self.bodies(item)
        self.statement(pending)

    def bodies(self, group):
        """The lambdas inside of a statement."""
        if group.captures is not None:
            self.block(group.items)
            return
        for item in group.items:
            if isinstance(item, Group):
                self.bodies(item)


def check(text):
    """(line, what) of each unsafe form in a source text."""
    tree = tree_of(text)
    mark_lambdas(tree)
    checker = Checker()
    checker.block(tree)
    return sorted(set(checker.found))


def files_of(arguments):
    for path in map(pathlib.Path, arguments):
        if path.is_dir():
            yield from sorted(file for file in path.rglob("*") if file.suffix in SUFFIXES)
        else:
            yield path


def main():
    if len(sys.argv) < 2 or sys.argv[1].startswith("-"):
        print(__doc__, file=sys.stderr)
        return 2
    files = found = 0
    for file in files_of(sys.argv[1:]):
        files += 1
        for line, what in check(file.read_text(encoding="utf-8", errors="replace")):
            found += 1
            print(f"{file}:{line}: {what}")
    print(f"{files} files, {found} unsafe forms", file=sys.stderr)
    return 1 if found or not files else 0


if __name__ == "__main__":
    sys.exit(main())

"""The check of coroutines finds each unsafe form, and leaves alone what is safe."""

import pathlib
import subprocess
import sys
import tempfile
import unittest

SCRIPT = pathlib.Path(__file__).resolve().parent.parent.parent / "scripts/check_coroutines.py"
sys.path.insert(0, str(SCRIPT.parent))
sys.dont_write_bytecode = True
import check_coroutines as checker  # noqa: E402

UNSAFE = {
    checker.IN_CONDITION: [
        "if (co_await f()) g();",
        "if (!co_await f()) { g(); }",
        "if constexpr (co_await f()) g();",
        "if (a) b(); else if ((co_await f()) == 3) g();",
        "if (const bool b = g(); co_await f(b)) h();",
        "while (co_await f()) g();",
        "while ((x = co_await f())) g();",
        "do { g(); } while (co_await f());",
        "for (int i = 0; co_await f(i); ++i) g();",
        "switch (co_await f()) { case 1: break; }",
        "group.spawn([]() -> Task<> { if (co_await f()) g(); });",
    ],
    checker.CHOICE: [
        "x = co_await f() ? g() : h();",
        "x = a ? co_await f() : h();",
        "co_await f(a ? b : c);",
        "co_await (a ? f() : g());",
        "co_return co_await f() ? 1 : 2;",
    ],
    checker.BRACES: [
        "co_await f({a, 1});",
        "co_await f(Aggregate{a, 1});",
        "const int n = co_await f(Aggregate{.a = a, .b = 1});",
        "co_await with_timeout(1s, f({a, 1}));",
        "if (bool b = co_await f({a, 1}); b) g();",
        "for (int i = co_await f({1}); i < 3; ++i) g();",
        "co_return co_await f({a, 1});",
        "if (a) co_await f({a, 1});",
    ],
    checker.AWAIT_IN_BRACES: [
        "Aggregate a{co_await f(), 1};",
        "std::array<int, 2> a = {co_await f(), co_await f()};",
        "co_return {co_await f(), 1};",
        "list.push_back({co_await f(), 1});",
    ],
    checker.COPY: [
        "co_await blocking([path] { return g(path); });",
        "co_await blocking([=] { return g(path); });",
        "co_await blocking([&, path] { return g(path); });",
        "co_await blocking([p = std::move(path)] { return g(p); });",
        "co_await blocking([*this] { return g(); });",
        "co_await [path]() -> Task<> { co_await f(path); }();",
        "co_await f(1, [path](int n) mutable noexcept -> int { return n; });",
    ],
    checker.DANGLES: [
        "auto task = [a]() -> Task<> { co_await f(a); }();",
        "auto task = [&]() -> Task<> { co_await f(a); }();",
        "group.spawn([a](int n) -> Task<> { co_await f(a + n); }(1));",
        "return [this]() -> Task<> { co_return; }();",
    ],
}

SAFE = [
    "const bool b = co_await f(); if (b) g();",
    "if (const bool b = co_await f(); b) g();",
    "if (auto p = co_await f()) g(*p);",
    "while (std::optional<int> n = co_await numbers.receive()) g(*n);",
    "while (auto& line = co_await f()) g(line);",
    "while (running) co_await f();",
    "for (int i = co_await f(); i < 3; i += co_await f()) g();",
    "for (const char c : co_await f()) g(c);",
    "for (;;) { co_await f(); }",
    "switch (n) { case 1: co_await f(); break; default: co_return; }",
    "x = a ? b : c; co_await f(x);",
    "Aggregate x{a, 1}; co_await f(std::move(x));",
    "std::array<int, 2> ends{}; co_await f(ends);",
    "co_return Aggregate{a, 1};",
    "co_await f(std::string(\"a {b} ? c\"));",
    "co_await f('{'); // co_await f({a ? b : c})",
    "/* if (co_await f()) */ co_await f(R\"(if (co_await f({1})))\");",
    "co_await f() + co_await g(co_await h());",
    "co_await f([&] { return Aggregate{a, 1}; });",
    "co_await f([this, &a, &b = c] { return a ? b : 1; });",
    "co_await f([](int n) { return n; });",
    "auto work = [a] { return a; }; co_await f(std::move(work));",
    "auto step = [a]() -> Task<> { co_await f(a); }; co_await step();",
    "co_await [](int n) -> Task<> { co_await f(n); }(1);",
    "co_await [&]() -> Task<> { co_await f(a); }();",
    "group.spawn([a]() -> Task<> { co_await f(a); });",
    "group.spawn([a](int n) -> Task<> { co_await f(a + n); }, 1);",
    "const int n = co::run(base, [&]() -> Task<int> { co_return a; }());",
    "const int n = [&] { return a; }();",
    "auto [a, b] = co_await when_all(f(), g()); values[a] = {b, 1};",
    "try { co_await f(); } catch (const E& e) { x = a ? 1 : 2; }",
    "if (a) { co_await f(); } else { x = {1, 2}; }",
    "struct Leave { int& n; ~Leave() { n = n ? 1 : 2; } }; Leave leave{n}; co_await f();",
]


def coroutine(body):
    return f"// of a test\nnamespace n {{\nTask<int> coroutine(int a) {{\n{body}\n}}\n}}\n"


class CheckCoroutines(unittest.TestCase):
    def test_finds_each_unsafe_form_and_its_line(self):
        for what, forms in UNSAFE.items():
            for form in forms:
                with self.subTest(form=form):
                    self.assertEqual(checker.check(coroutine(form)), [(4, what)])

    def test_leaves_safe_forms_alone(self):
        for form in SAFE:
            with self.subTest(form=form):
                self.assertEqual(checker.check(coroutine(form)), [])

    def test_counts_the_lines_of_comments_strings_and_directives(self):
        text = '/*\n\n*/\n#define X \\\n  co_await f({1})\nconst char* s = R"(\n)";\n'
        self.assertEqual(checker.check(text + coroutine("x;\n\nco_await f({1});")),
                         [(13, checker.BRACES)])

    def test_looks_into_methods_with_trailing_return_types_and_initializers(self):
        for head in ("auto C::f() const -> Task<int>", "C::C() : a_{1}, b_(2)", "void C::f() noexcept"):
            with self.subTest(head=head):
                self.assertEqual(checker.check(head + " {\n int n = 0;\n co_await f({n});\n g({n}); }\n"),
                                 [(3, checker.BRACES)])

    def test_prints_what_it_found_in_the_files_of_a_folder_and_fails(self):
        with tempfile.TemporaryDirectory() as directory:
            file = pathlib.Path(directory) / "below/unsafe.cpp"
            file.parent.mkdir()
            file.write_text(coroutine("co_await f({1});"), encoding="utf-8")
            run = subprocess.run([sys.executable, SCRIPT, directory], capture_output=True, text=True,
                                 check=False)
            self.assertEqual((run.returncode, run.stdout), (1, f"{file}:4: {checker.BRACES}\n"))
            file.write_text(coroutine("co_await f(1);"), encoding="utf-8")
            run = subprocess.run([sys.executable, SCRIPT, directory], capture_output=True, text=True,
                                 check=False)
            self.assertEqual((run.returncode, run.stdout), (0, ""))


if __name__ == "__main__":
    unittest.main()

// The forms that docs/coroutines.md calls safe: each object is destroyed once, whether the task
// ends or is destroyed where it waits, and each value arrives.
#include <memory>
#include <optional>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "co/support.hpp"

namespace event_cpp::test {
namespace {

using co::Task;

int alive = 0;

// Its text is too long to be kept without memory of its own.
class Counted {
 public:
  explicit Counted(const char* text) : text_(std::string(40, '.') + text) { ++alive; }
  Counted(const Counted& other) : text_(other.text_) { ++alive; }
  Counted(Counted&& other) noexcept : text_(std::move(other.text_)) { ++alive; }
  Counted& operator=(const Counted&) = default;
  Counted& operator=(Counted&&) = default;
  ~Counted() { --alive; }

  std::string text() const { return text_.substr(40); }

 private:
  std::string text_;
};

struct Aggregate {
  Counted counted;
  int number = 0;
};

Task<std::string> text_of(Counted counted) {
  co_await co::yield();
  co_return counted.text();
}
Task<std::string> text_in(const Counted& counted) {
  co_await co::yield();
  co_return counted.text();
}
Task<std::string> text_in_aggregate(Aggregate aggregate) {
  co_await co::yield();
  co_return aggregate.counted.text();
}
Task<Counted> make(const char* text) {
  co_await co::yield();
  co_return Counted(text);
}
Task<bool> is_ab(Counted counted) {
  co_await co::yield();
  co_return counted.text() == "ab";
}
template <class F>
Task<std::string> call(F f) {
  co_await co::yield();
  co_return f();
}

Task<> temporaries(std::string& out) {
  out = co_await text_of(Counted("a"));
  out += co_await text_in(Counted("b"));
}
Task<> variable_for_an_aggregate(std::string& out) {
  Aggregate aggregate{Counted("ab"), 1};
  out = co_await text_in_aggregate(std::move(aggregate));
}
Task<> variable_for_a_choice(std::string& out) {
  Counted chosen = out.empty() ? Counted("ab") : Counted("no");
  out = co_await text_of(std::move(chosen));
}
Task<> declaration_in_if(std::string& out) {
  if (const bool ab = co_await is_ab(Counted("ab")); ab) out = "ab";
}
Task<> declaration_in_while(std::string& out) {
  co::Channel<Counted> channel(2);
  co_await channel.send(Counted("a"));
  co_await channel.send(Counted("b"));
  channel.close();
  while (const std::optional<Counted> next = co_await channel.receive()) out += next->text();
}
Task<> loop_over_a_result(std::string& out) {
  for (const char c : co_await text_of(Counted("ab"))) out += c;
}
Task<> several_in_one_expression(std::string& out) {
  out = co_await text_of(Counted("a")) + co_await text_of(co_await make("b"));
}
Task<> logical_operators(std::string& out) {
  const bool both = co_await is_ab(Counted("ab")) && co_await is_ab(Counted("ab"));
  if (both) out = "ab";
}
Task<> limits(std::string& out) {
  out = co_await co::with_timeout(1s, text_of(Counted("a")));
  const auto b = co_await co::try_with_timeout(1s, text_of(Counted("b")));
  out += b.value_or("");
}
Task<> structured_binding(std::string& out) {
  const auto [a, b] = co_await co::when_all(make("a"), text_of(Counted("b")));
  out = a.text() + b;
}
Task<> lambda_that_captures_by_reference(std::string& out) {
  const Counted ab("ab");
  out = co_await call([&] { return ab.text(); });
}
Task<> lambda_with_a_name(std::string& out) {
  const Counted ab("ab");
  const auto step = [ab]() -> Task<std::string> {
    co_await co::yield();
    co_return ab.text();
  };
  out = co_await step();
  auto work = [ab] { return ab.text(); };
  out = co_await call(std::move(work));
}
Task<> lambda_given_to_a_group(std::string& out) {
  Base& base = co_await co::base();
  const Counted ab("ab");
  co::TaskGroup group(base);
  group.spawn([ab, &out]() -> Task<> {
    co_await co::yield();
    out = ab.text();
  });
  co_await group.join();
}

struct Form {
  const char* name;
  Task<> (*run)(std::string& out);
};

const Form kForms[] = {
    {"Temporaries", temporaries},
    {"VariableForAnAggregate", variable_for_an_aggregate},
    {"VariableForAChoice", variable_for_a_choice},
    {"DeclarationInIf", declaration_in_if},
    {"DeclarationInWhile", declaration_in_while},
    {"LoopOverAResult", loop_over_a_result},
    {"SeveralInOneExpression", several_in_one_expression},
    {"LogicalOperators", logical_operators},
    {"Limits", limits},
    {"StructuredBinding", structured_binding},
    {"LambdaThatCapturesByReference", lambda_that_captures_by_reference},
    {"LambdaWithAName", lambda_with_a_name},
    {"LambdaGivenToAGroup", lambda_given_to_a_group},
};

class SafeFormsTest : public testing::TestWithParam<Form> {
 protected:
  SafeFormsTest() { alive = 0; }
};

TEST_P(SafeFormsTest, GiveTheirValueAndDestroyEachObjectOnce) {
  Base base;
  std::string out;
  co::run(base, GetParam().run(out));
  EXPECT_EQ(out, "ab");
  EXPECT_EQ(alive, 0);
}

TEST_P(SafeFormsTest, DestroyEachObjectOnceWhereverTheyWait) {
  for (int iterations = 0; iterations < 4; ++iterations) {
    Base base;
    std::string out;
    {
      co::TaskGroup group(base);
      group.spawn(GetParam().run(out));
      for (int i = 0; i < iterations; ++i) base.loop(RunMode::nonblock);
    }
    EXPECT_EQ(alive, 0) << iterations;
  }
}

INSTANTIATE_TEST_SUITE_P(, SafeFormsTest, testing::ValuesIn(kForms),
                         [](const auto& form) { return std::string(form.param.name); });

}  // namespace
}  // namespace event_cpp::test

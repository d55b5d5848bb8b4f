#include "event/co/dump.hpp"

#include <ostream>
#include <string>

namespace event_cpp::co {
namespace detail {

void for_each_wait(const Chain& chain, int depth, Visit visit, void* context) {
  Waiting waiting;
  if (chain.away) {
    waiting.what = "another base";
  } else if (chain.pending != nullptr) {
    waiting = chain.pending->waiting();
  } else if (!chain.linked()) {
    waiting.what = "nothing, it runs";
  } else if (chain.turn == Turn::report) {
    waiting.what = "its failure to be reported";
  } else {
    waiting.what = "its turn";
    waiting.function = *static_cast<const void* const*>(chain.innermost);
  }
  visit(context, depth, waiting);
  if (chain.away || chain.pending == nullptr) return;

  struct Inner {
    int depth;
    Visit visit;
    void* context;
  } inner{depth + 1, visit, context};
  chain.pending->for_each_branch(
      [](void* data, const Chain& branch) {
        const auto& to = *static_cast<const Inner*>(data);
        for_each_wait(branch, to.depth, to.visit, to.context);
      },
      &inner);
}

}  // namespace detail

void dump(Base& base, std::ostream& out) {
  for_each_group(base, [&out](const TaskGroup& group) {
    out << "group " << (*group.name() != '\0' ? group.name() : "-") << " tasks " << group.size()
        << '\n';
    for_each_wait(group, [&out](int depth, const Waiting& waiting) {
      out << std::string(2 * static_cast<std::size_t>(depth) + 2, ' ') << waiting.what;
      if (waiting.fd >= 0) out << ' ' << waiting.fd;
      if (waiting.line > 0) out << " line " << waiting.line;
      if (waiting.function != nullptr) out << " in " << waiting.function;
      out << '\n';
    });
  });
}

}  // namespace event_cpp::co

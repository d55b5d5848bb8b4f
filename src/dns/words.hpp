// Files of lines of words.
#pragma once

#include <string_view>
#include <vector>

namespace event_cpp::dns::detail {

// Takes the first line off the text.
inline std::string_view take_line(std::string_view& text) {
  const std::size_t end = text.find('\n');
  const std::string_view line = text.substr(0, end);
  text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
  return line;
}

// What is between blanks, up to the first of the characters that start a comment.
inline std::vector<std::string_view> words_of(std::string_view line, std::string_view comment) {
  constexpr std::string_view kBlanks = " \t\r\v\f";
  line = line.substr(0, line.find_first_of(comment));
  std::vector<std::string_view> words;
  for (;;) {
    const std::size_t begin = line.find_first_not_of(kBlanks);
    if (begin == std::string_view::npos) return words;
    line.remove_prefix(begin);
    const std::size_t end = line.find_first_of(kBlanks);
    words.push_back(line.substr(0, end));
    line.remove_prefix(words.back().size());
  }
}

}  // namespace event_cpp::dns::detail

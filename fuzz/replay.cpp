// Runs files through a target, without a fuzzer, in their order:
//   fuzz_replay TARGET FILE_OR_DIRECTORY...
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <vector>

#include "targets.hpp"

namespace {

using Path = std::filesystem::path;

std::vector<Path> files_of(const Path& path) {
  if (!std::filesystem::is_directory(path)) return {path};
  std::vector<Path> files;
  for (const auto& entry : std::filesystem::directory_iterator(path)) {
    if (entry.is_regular_file()) files.push_back(entry.path());
  }
  std::sort(files.begin(), files.end());
  return files;
}

std::vector<std::uint8_t> bytes_of(const Path& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) ADD_FAILURE() << "cannot be read: " << path;
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

}  // namespace

int main(int argc, char** argv) {
  testing::InitGoogleTest(&argc, argv);
  const event_cpp::fuzz::Target* const target =
      argc > 2 ? event_cpp::fuzz::find_target(argv[1]) : nullptr;
  if (target == nullptr) {
    std::fputs("usage: fuzz_replay TARGET FILE_OR_DIRECTORY...\ntargets:", stderr);
    for (const event_cpp::fuzz::Target& each : event_cpp::fuzz::kTargets) {
      std::fprintf(stderr, " %s", each.name.data());
    }
    std::fputs("\n", stderr);
    return 2;
  }
  std::size_t count = 0;
  for (int i = 2; i < argc; ++i) {
    for (const Path& path : files_of(argv[i])) {
      const testing::ScopedTrace trace(__FILE__, __LINE__, path.string());
      target->run(bytes_of(path));
      ++count;
    }
  }
  std::printf("%zu inputs\n", count);
  return count > 0 && !testing::Test::HasFailure() ? 0 : 1;
}

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <map>
#include <regex>
#include <set>
#include <string>
#include <vector>

#include "support/catch.hpp"

namespace fs = std::filesystem;

namespace {

const fs::path include_root = fs::path(LORA_SOURCE_DIR) / "include";

// The folders in the order in which they build on each other.
const std::vector<std::string> folders{"core", "kernels", "frozen", "nn",
                                       "init", "layers",  "optim",  "adapters",
                                       "io",   "text",    "models", "distributed"};

std::size_t place_of(const std::string& folder) {
  const auto found = std::find(folders.begin(), folders.end(), folder);
  INFO("folder " << folder);
  REQUIRE(found != folders.end());
  return static_cast<std::size_t>(found - folders.begin());
}

std::set<std::string> includes_of(const fs::path& header) {
  static const std::regex pattern(R"re(^\s*#\s*include\s*["<](lora/[^">]+)[">])re");
  std::set<std::string> found;
  std::ifstream file(header);
  std::string line;
  std::smatch match;
  while (std::getline(file, line))
    if (std::regex_search(line, match, pattern)) found.insert(match[1]);
  return found;
}

std::vector<fs::path> headers() {
  std::vector<fs::path> all;
  for (const auto& entry : fs::recursive_directory_iterator(include_root))
    if (entry.path().extension() == ".hpp") all.push_back(fs::relative(entry, include_root));
  return all;
}

}  // namespace

TEST_CASE("a header includes headers of its own folder and of folders before it only") {
  int checked = 0;
  for (const fs::path& header : headers()) {
    if (header.parent_path() == "lora") continue;  // the umbrellas
    const std::size_t own = place_of(header.parent_path().filename().string());
    for (const std::string& included : includes_of(include_root / header)) {
      CAPTURE(header.string(), included);
      REQUIRE(fs::exists(include_root / included));
      CHECK(place_of(fs::path(included).parent_path().filename().string()) <= own);
      ++checked;
    }
  }
  CHECK(checked > 20);
}

TEST_CASE("the umbrella headers include every header of their folders") {
  const auto core = includes_of(include_root / "lora/lora.hpp");
  const auto io = includes_of(include_root / "lora/io.hpp");
  const auto text = includes_of(include_root / "lora/text.hpp");
  const auto models = includes_of(include_root / "lora/models.hpp");
  for (const fs::path& header : headers()) {
    const std::string folder = header.parent_path().filename().string();
    if (folder == "lora" || folder == "distributed") continue;
    CAPTURE(header.string());
    const auto& umbrella = folder == "io"       ? io
                           : folder == "text"   ? text
                           : folder == "models" ? models
                                                : core;
    CHECK(umbrella.count(header.string()) == 1);
  }
}

TEST_CASE("every folder of headers has its tests") {
  for (const fs::path& header : headers()) {
    const fs::path folder = header.parent_path().filename();
    if (folder == "lora") continue;
    CAPTURE(folder.string());
    CHECK(fs::is_directory(fs::path(LORA_SOURCE_DIR) / "tests" / folder));
  }
}

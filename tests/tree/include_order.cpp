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
const fs::path test_root = fs::path(LORA_SOURCE_DIR) / "tests";

// The folders in the order in which they build on each other. A folder inside of one that is named
// here shares its place, unless it is named itself.
const std::vector<std::string> folders{
    "core",  "random",   "kernels", "frozen",     "init",          "nn",     "layers",
    "optim", "adapters", "io",      "images",     "images/gzip",   "peft",   "text",
    "data",  "metrics",  "train",   "generation", "models/common", "models", "distributed"};

// What each contents page, one for a CMake target, has to include.
const std::map<std::string, std::set<std::string>> pages{
    {"lora", {"core", "random", "kernels", "frozen", "init", "nn", "layers", "optim", "adapters"}},
    {"io", {"io", "peft"}},
    {"images", {"images"}},
    {"gzip", {"images/gzip"}},
    {"text", {"text", "data", "metrics"}},
    {"train", {"train"}},
    {"generation", {"generation"}},
    {"models", {"models"}},
    {"mpi", {"distributed"}}};

bool is_within(const std::string& folder, const std::string& outer) {
  return folder == outer || folder.starts_with(outer + "/");
}

// The folder of "lora/models/bert/bert_layer.hpp" is "models/bert".
std::string folder_of(const fs::path& header) {
  return header.parent_path().lexically_relative("lora").generic_string();
}

std::size_t place_of(const std::string& folder) {
  std::size_t found = folders.size();
  for (std::size_t place = 0; place < folders.size(); ++place)
    if (is_within(folder, folders[place]) &&
        (found == folders.size() || folders[place].size() > folders[found].size()))
      found = place;
  if (found == folders.size())
    FAIL("the folder " << folder << " has no place in the order of folders");
  return found;
}

std::string page_of(const std::string& folder) {
  std::string found, closest;
  for (const auto& [page, contents] : pages)
    for (const std::string& outer : contents)
      if (is_within(folder, outer) && outer.size() > closest.size()) {
        found = page;
        closest = outer;
      }
  if (found.empty()) FAIL("the folder " << folder << " is on no contents page");
  return found;
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

// Those of compiled/ are a part of the pages: the lists of what lora::compiled holds.
std::vector<fs::path> headers() {
  std::vector<fs::path> all;
  for (const auto& entry : fs::recursive_directory_iterator(include_root))
    if (entry.path().extension() == ".hpp" && entry.path().parent_path().filename() != "compiled")
      all.push_back(fs::relative(entry, include_root));
  return all;
}

}  // namespace

TEST_CASE("a header includes headers of its own folder and of folders before it only") {
  int checked = 0;
  for (const fs::path& header : headers()) {
    if (header.parent_path() == "lora") continue;  // the contents pages
    const std::size_t own = place_of(folder_of(header));
    for (const std::string& included : includes_of(include_root / header)) {
      CAPTURE(header.string(), included);
      REQUIRE(fs::exists(include_root / included));
      // A header may say at its end what lora::compiled holds of it.
      if (folder_of(included) == "compiled") continue;
      const std::size_t other = place_of(folder_of(included));
      CHECK(other <= own);
      ++checked;
    }
  }
  CHECK(checked > 20);
}

TEST_CASE("a family of models includes nothing of another") {
  int checked = 0;
  for (const fs::path& header : headers()) {
    const std::string own = folder_of(header);
    if (!own.starts_with("models/")) continue;
    for (const std::string& included : includes_of(include_root / header)) {
      const std::string other = folder_of(included);
      if (!is_within(other, "models")) continue;
      CAPTURE(header.string(), included);
      CHECK((other == own || other == "models/common"));
      ++checked;
    }
  }
  CHECK(checked > 20);
}

TEST_CASE("the contents pages include every header of their folders") {
  for (const fs::path& header : headers()) {
    if (header.parent_path() == "lora") continue;
    CAPTURE(header.string());
    const fs::path page = include_root / "lora" / (page_of(folder_of(header)) + ".hpp");
    CHECK(includes_of(page).count(header.generic_string()) == 1);
  }
}

TEST_CASE("every folder of headers has its tests") {
  for (const fs::path& header : headers()) {
    if (header.parent_path() == "lora") continue;
    CAPTURE(header.string());
    CHECK(fs::is_directory(test_root / folder_of(header)));
  }
}

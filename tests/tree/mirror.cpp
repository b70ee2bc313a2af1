#include <filesystem>
#include <string>

#include "support/catch.hpp"
#include "support/whole_file.hpp"

namespace fs = std::filesystem;

TEST_CASE("every header has the test of its name, which includes it and tests something") {
  const fs::path root(LORA_SOURCE_DIR);
  const fs::path include = root / "include/lora";
  int tested = 0;
  for (const auto& entry : fs::recursive_directory_iterator(include)) {
    if (entry.path().extension() != ".hpp" || entry.path().parent_path() == include) continue;
    const fs::path header = fs::relative(entry.path(), include);
    // The lists of what lora::compiled holds are tested by building and using it.
    if (header.parent_path() == "compiled") continue;
    CAPTURE(header.string());
    const fs::path test = (root / "tests" / header).replace_extension(".cpp");
    CHECK(fs::exists(test));
    if (!fs::exists(test)) continue;
    const std::string text = lora::test::read_whole(test);
    CHECK(text.find("#include <lora/" + header.generic_string() + ">") != std::string::npos);
    CHECK(text.find("TEST_CASE(") != std::string::npos);
    ++tested;
  }
  CHECK(tested > 100);
}

#include "benchmarks/plot/program.hpp"

#include <array>
#include <fstream>
#include <iostream>
#include <sstream>
#include <string>

#include "support/catch.hpp"
#include "support/temporary_directory.hpp"

using namespace lora;
using namespace lora::bench;

TEST_CASE("a program that draws writes its file, and says why it could not") {
  const test::TemporaryDirectory folder;
  std::string name = "plot", in = "a.json", out = (folder / "a.svg").string();
  std::string there_is_none = (folder / "none/a.svg").string();
  std::array<char*, 3> arguments{name.data(), in.data(), out.data()};
  std::ostringstream errors;
  const auto run = [&](int count) {
    std::streambuf* const terminal = std::cerr.rdbuf(errors.rdbuf());
    const int code =
        run_program_on_file("plot", "<a.json>", count, arguments.data(),
                            [](const std::string& file) { return "drawing of " + file; });
    std::cerr.rdbuf(terminal);
    return code;
  };
  CHECK(run(3) == 0);
  std::ostringstream text;
  text << std::ifstream(out).rdbuf();
  CHECK(text.str() == "drawing of a.json");
  CHECK(run(2) == 1);
  arguments[2] = there_is_none.data();
  CHECK(run(3) == 1);
  CHECK(errors.str() ==
        "plot: there are 1 arguments, expected plot <a.json> <drawing.svg>\nplot: " +
            there_is_none + ": cannot be written\n");
}

#include "examples/support/run_program.hpp"

#include <sstream>
#include <stdexcept>

#include "support/catch.hpp"
#include "support/threads.hpp"

TEST_CASE("a program returns 0, 1, or tells what was thrown under its name") {
  const lora::test::Threads as_before(1);  // which run_program sets
  CHECK(examples::run_program("name", 1, [] { return true; }) == 0);
  CHECK(examples::run_program("name", 1, [] { return false; }) == 1);
  std::ostringstream told;
  std::streambuf* const errors = std::cerr.rdbuf(told.rdbuf());
  const int code = examples::run_program(
      "name", 1, []() -> bool { throw std::runtime_error("file.png: is no image"); });
  std::cerr.rdbuf(errors);
  CHECK(code == 1);
  CHECK(told.str() == "name: file.png: is no image\n");
}

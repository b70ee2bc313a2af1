#include <lora/core/error.hpp>

#include <cmath>
#include <sstream>
#include <string_view>
#include <type_traits>

#include "support/catch.hpp"

using namespace lora;

TEST_CASE("message joins its parts as a stream prints them") {
  CHECK(message("x is (", 512, ", ", 700L, "), rate ", 0.5, ' ', std::string("end")) ==
        "x is (512, 700), rate 0.5 end");
  CHECK(message(std::string_view("a"), 'b', -3, 18446744073709551615ULL, true) ==
        "ab-3184467440737095516151");
  for (const double number : {0.0, -0.5, 1e-5, 1.0 / 3, 123456789.0, 1e300, HUGE_VAL}) {
    std::ostringstream stream;
    stream << number;
    CHECK(message(number) == stream.str());
  }
}

TEST_CASE("errors are the standard library's kinds, and keep their message") {
  STATIC_REQUIRE(std::is_base_of_v<std::invalid_argument, ShapeError>);
  STATIC_REQUIRE(std::is_base_of_v<std::invalid_argument, ConfigError>);
  STATIC_REQUIRE(std::is_base_of_v<std::logic_error, StateError>);
  STATIC_REQUIRE(std::is_base_of_v<std::runtime_error, FileError>);
  CHECK_THROWS_WITH(throw FileError("f.json: is empty"), "f.json: is empty");
}

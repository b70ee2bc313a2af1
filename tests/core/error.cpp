#include <lora/core/error.hpp>

#include <type_traits>

#include "support/catch.hpp"

using namespace lora;

TEST_CASE("message joins its parts as a stream prints them") {
  CHECK(message("x is (", 512, ", ", 700L, "), rate ", 0.5, ' ', std::string("end")) ==
        "x is (512, 700), rate 0.5 end");
}

TEST_CASE("errors are the standard library's kinds, and keep their message") {
  STATIC_REQUIRE(std::is_base_of_v<std::invalid_argument, ShapeError>);
  STATIC_REQUIRE(std::is_base_of_v<std::invalid_argument, ConfigError>);
  STATIC_REQUIRE(std::is_base_of_v<std::logic_error, StateError>);
  STATIC_REQUIRE(std::is_base_of_v<std::runtime_error, FileError>);
  CHECK_THROWS_WITH(throw FileError("f.json: is empty"), "f.json: is empty");
}

#include <lora/init/orthogonal.hpp>

#include "support/golden.hpp"
#include "support/throws.hpp"
#include "support/tolerance.hpp"

using namespace lora;
using namespace lora::test;

TEST_CASE("the orthogonal start gives PEFT's factors for PEFT's random numbers") {
  const Golden<float> golden("starts");
  const auto start = orthogonal(OrthogonalNoise<float>{
      golden["orthogonal.mixing"], golden["orthogonal.of_input"], golden["orthogonal.of_output"]});
  CHECK(largest_difference(start.a, golden["orthogonal.a"]) < 1e-6);
  CHECK(largest_difference(start.b, golden["orthogonal.b"]) < 1e-6);
}

TEST_CASE("an orthogonal start is random and adds nothing") {
  const auto start = orthogonal<double>(9, 7, 4, Random(1)),
             other = orthogonal<double>(9, 7, 4, Random(2));
  CHECK((start.b * start.a).norm() < 1e-15);
  CHECK(start.a.norm() > 0.1);
  CHECK(start.b.norm() > 0.1);
  CHECK((start.a - other.a).norm() > 0.1);
}

TEST_CASE("an orthogonal start needs an even rank") {
  check_throws<ConfigError>([] { static_cast<void>(orthogonal<float>(4, 4, 3, Random(1))); },
                            "orthogonal: rank is 3, expected an even number");
  check_throws<ShapeError>(
      [] {
        static_cast<void>(orthogonal(OrthogonalNoise<float>{
            Matrix<float>::Ones(4, 4), Matrix<float>::Ones(5, 3), Matrix<float>::Ones(2, 6)}));
      },
      "orthogonal: of_input is (5, 3)");
}

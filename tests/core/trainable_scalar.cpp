#include <lora/core/trainable_scalar.hpp>

#include <Eigen/Core>

#include "support/catch.hpp"

using namespace lora;

TEST_CASE("what trains is float or double") {
  STATIC_REQUIRE(TrainableScalar<float>);
  STATIC_REQUIRE(TrainableScalar<double>);
  STATIC_REQUIRE_FALSE(TrainableScalar<long double>);
  STATIC_REQUIRE_FALSE(TrainableScalar<Eigen::half>);
  STATIC_REQUIRE_FALSE(TrainableScalar<Eigen::bfloat16>);
  STATIC_REQUIRE_FALSE(TrainableScalar<int>);
  STATIC_REQUIRE_FALSE(TrainableScalar<const float>);
  STATIC_REQUIRE(require_trainable_scalar<double>());
}

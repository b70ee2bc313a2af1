#include <lora/nn/linear.hpp>

#include "contracts/trainable_layer.hpp"

using namespace lora;
using namespace lora::test;

TEST_CASE("Linear keeps the contract of a trainable layer") {
  Linear<double> small(5, 7, 1);
  check_gradients(small, 6, 2);
  Linear<float> large(510, 770, 1);
  check_bad_shapes(large);
  check_second_step_allocates_nothing(large, 40);
  check_thread_independence(large, 200);
}

TEST_CASE("Linear starts as torch's does and refuses empty shapes") {
  Linear<float> layer(30, 400, 1);
  CHECK(layer.weight().value.cwiseAbs().maxCoeff() < 0.05F);
  CHECK(layer.bias().value.cwiseAbs().maxCoeff() < 0.05F);
  CHECK(layer.bias().value.norm() > 0);
  layer.set_name("classifier");
  CHECK(layer.parameters()[0]->name == "classifier.weight");
  CHECK(layer.parameters()[1]->name == "classifier.bias");
  CHECK(layer.trainable_parameters() == 30 * 401);
  CHECK_THROWS_AS((Linear<float>(0, 4, 1)), ShapeError);
  CHECK_THROWS_AS((Linear<float>(4, -1, 1)), ShapeError);
}

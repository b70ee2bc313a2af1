#include <lora/models/common/model_parameters.hpp>

#include "support/catch.hpp"

using namespace lora;

TEST_CASE("what is added trains, and is stored whole") {
  Parameter<float> weight("weight", Matrix<float>::Zero(2, 3));
  models::ModelParameters<float> list;
  list.add(weight);
  REQUIRE(list.trained.size() == 1);
  REQUIRE(list.stored.size() == 1);
  CHECK(list.trained[0] == &weight);
  CHECK(list.stored[0] == &weight);
  CHECK(list.total == 0);
}

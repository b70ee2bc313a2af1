#include <lora/models/common/tape_routes.hpp>

#include "support/catch.hpp"

using namespace lora;

TEST_CASE("a tape has the routes of its last mixed batch, or none") {
  models::TapeRoutes routes;
  CHECK(routes.all() == nullptr);
  routes.assign(AdapterRoutes({"a", "b"}), AdapterRoutes({"a", "a", "b"}), AdapterRoutes({"a"}));
  CHECK(routes.texts()->rows() == 2);
  CHECK(routes.all()->rows() == 3);
  CHECK(routes.last()->rows() == 1);
  routes.clear();
  CHECK(routes.texts() == nullptr);
  CHECK(routes.last() == nullptr);
}

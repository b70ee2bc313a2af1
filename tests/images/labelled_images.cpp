#include <lora/images/labelled_images.hpp>

#include "support/catch.hpp"

using namespace lora;

TEST_CASE("labelled images lie after one another") {
  const images::LabelledImages all{1, 2, 1, {1, 2, 3, 4}, {0, 5}};
  CHECK(all.size() == 2);
  CHECK(all.image(1).pixel(0, 0)[0] == 3);
  CHECK_THROWS_AS(all.image(-1), ShapeError);
}

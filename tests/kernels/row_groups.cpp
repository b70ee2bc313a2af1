#include <lora/kernels/row_groups.hpp>

#include "support/catch.hpp"

using namespace lora;

TEST_CASE("groups have their rows in the order in which they were added, cut into bands") {
  RowGroups groups;
  groups.clear(50);
  groups.begin_group();
  groups.add(40, 2);
  groups.add(3, 17);
  groups.begin_group();
  groups.add(30, 5);
  groups.begin_group();  // of no rows
  groups.finish();
  CHECK(groups.rows() == 50);
  CHECK(groups.places() == 24);
  REQUIRE(groups.groups().size() == 3);
  CHECK(groups.groups()[1].first == 19);
  CHECK(groups.groups()[2].count == 0);
  CHECK(groups.row(1) == 41);
  CHECK(groups.row(2) == 3);
  REQUIRE(groups.bands().size() == 3);
  CHECK(groups.bands()[0].count == 16);
  CHECK(groups.bands()[1].first == 16);
  CHECK(groups.bands()[1].count == 3);
  CHECK(groups.bands()[2].group == 1);
  CHECK_FALSE(groups.neighbours(groups.bands()[0]));
  CHECK(groups.neighbours(groups.bands()[1]));
  groups.clear(3);
  CHECK(groups.places() == 0);
  CHECK(groups.bands().empty());
}

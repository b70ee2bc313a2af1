#include <lora/text/merge_table.hpp>

#include <vector>

#include "support/catch.hpp"

using namespace lora::text;

TEST_CASE("a merge is found by its pair, and ranks by its place") {
  const std::vector<MergeTable::Merge> merges{{5, 6, 10}, {0, 2147483647, 11}, {6, 5, 12}};
  const MergeTable table(merges);
  CHECK(table.size() == 3);
  CHECK(table.find(5, 6)->rank == 0);
  CHECK(table.find(5, 6)->id == 10);
  CHECK(table.find(6, 5)->id == 12);
  CHECK(table.find(0, 2147483647)->rank == 1);
  CHECK_FALSE(table.find(2147483647, 0));
  CHECK_FALSE(table.find(5, 5));
  CHECK_FALSE(MergeTable().find(5, 6));
}

TEST_CASE("of equal pairs the last counts") {
  const std::vector<MergeTable::Merge> merges{{1, 2, 10}, {3, 4, 11}, {1, 2, 12}};
  const MergeTable table(merges);
  CHECK(table.size() == 2);
  CHECK(table.find(1, 2)->rank == 2);
  CHECK(table.find(1, 2)->id == 12);
}

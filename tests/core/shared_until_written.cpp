#include <lora/core/shared_until_written.hpp>

#include <vector>

#include "support/catch.hpp"

using namespace lora;

TEST_CASE("copies share memory until one of them is written") {
  SharedUntilWritten<std::vector<int>> first(std::vector<int>{1, 2});
  const int* const memory = first->data();
  first.own()[0] = 3;
  CHECK(first->data() == memory);
  SharedUntilWritten<std::vector<int>> second = first;
  CHECK(second->data() == memory);
  second.own()[1] = 4;
  CHECK(second->data() != memory);
  CHECK(*second == std::vector<int>{3, 4});
  CHECK(*first == std::vector<int>{3, 2});
  // Alone again.
  first.own()[1] = 5;
  CHECK(first->data() == memory);
}

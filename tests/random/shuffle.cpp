#include <lora/random/shuffle.hpp>

#include <algorithm>

#include "support/catch.hpp"

using namespace lora;

TEST_CASE("a shuffled order is a permutation that follows from seed and epoch") {
  for (const Index count : {Index{0}, Index{1}, Index{2}, Index{1000}}) {
    auto order = shuffled(count, 1, 0);
    CHECK(order == shuffled(count, 1, 0));
    if (count > 2) {
      CHECK(order != shuffled(count, 1, 1));
      CHECK(order != shuffled(count, 2, 0));
    }
    std::sort(order.begin(), order.end());
    for (Index i = 0; i < count; ++i) REQUIRE(order[static_cast<std::size_t>(i)] == i);
  }
}

TEST_CASE("every place of a shuffled order is as likely for every element") {
  constexpr int epochs = 6000;
  std::array<std::array<int, 6>, 6> hits{};
  for (std::uint64_t epoch = 0; epoch < epochs; ++epoch) {
    const auto order = shuffled(6, 9, epoch);
    for (std::size_t i = 0; i < 6; ++i) ++hits[i][static_cast<std::size_t>(order[i])];
  }
  // Mean 1000, standard deviation 29: five of them.
  for (const auto& row : hits)
    for (const int hit : row) CHECK(std::abs(hit - 1000) < 145);
}

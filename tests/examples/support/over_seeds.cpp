#include "examples/support/over_seeds.hpp"

#include "support/catch.hpp"

TEST_CASE("a number is collected from the seeds that have one") {
  const std::vector<std::vector<double>> seeds{{1, 2}, {3, -1}, {5, 6}};
  const auto positive = [](const std::vector<double>& rows) -> std::optional<double> {
    if (rows[1] < 0) return {};
    return rows[1];
  };
  CHECK(examples::over_seeds(seeds, positive) == std::vector<double>{2, 6});
}

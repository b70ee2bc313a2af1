#include <lora/models/common/model_builder.hpp>

#include <set>

#include "models/common/model_files.hpp"
#include "support/catch.hpp"

using namespace lora;
using namespace lora::test;

TEST_CASE("a builder gives every module another seed, the same ones for the same seed") {
  ModelFiles files;
  files.add_linear("a", 1, 1);
  Workbench bench(files, models::HeadOnly{}, linear_outline({"a"}));
  models::ModelBuilder<double> other{bench.weights, bench.plan, 0.02, 8};
  models::ModelBuilder<double> same{bench.weights, bench.plan, 0.02, 7};
  std::set<std::uint64_t> seeds;
  for (int i = 0; i < 100; ++i) {
    const std::uint64_t seed = bench.builder.next_seed();
    CHECK(seed == same.next_seed());
    seeds.insert(seed);
    seeds.insert(other.next_seed());
  }
  CHECK(seeds.size() == 200);
}

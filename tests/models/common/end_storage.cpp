#include <lora/models/common/end_storage.hpp>

#include <type_traits>

#include <lora/frozen/half_weight.hpp>
#include <lora/frozen/packed_weight.hpp>

#include "support/catch.hpp"

using namespace lora;
using models::EndStorage;

TEST_CASE("embeddings and head are not rounded to bitsandbytes' formats") {
  STATIC_REQUIRE(std::is_same_v<EndStorage<NF4Weight<float>>, BlockWeight<float>>);
  STATIC_REQUIRE(std::is_same_v<EndStorage<FP4Weight<double>>, BlockWeight<double>>);
  STATIC_REQUIRE(std::is_same_v<EndStorage<Int8Weight<float>>, BlockWeight<float>>);
  STATIC_REQUIRE(std::is_same_v<EndStorage<HalfWeight<float>>, HalfWeight<float>>);
  STATIC_REQUIRE(std::is_same_v<EndStorage<PackedWeight<float>>, PackedWeight<float>>);
  STATIC_REQUIRE(models::looks_at_rows<BlockWeight<float>>);
  STATIC_REQUIRE(!models::looks_at_rows<HalfWeight<float>>);
}

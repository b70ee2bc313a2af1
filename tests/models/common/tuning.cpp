#include <lora/models/common/tuning.hpp>

#include "support/catch.hpp"

using namespace lora;

TEST_CASE("a tuning is the head alone unless it says otherwise") {
  CHECK(std::holds_alternative<models::HeadOnly>(models::Tuning()));
  CHECK(models::LastLayers{}.count == 1);
  CHECK(models::BottleneckAdapters{}.features == 64);
  CHECK(std::holds_alternative<peft::PeftConfig>(models::Tuning(peft::PeftConfig{})));
}

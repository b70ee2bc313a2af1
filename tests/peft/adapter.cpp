#include <lora/peft/adapter.hpp>

#include "peft/golden_net.hpp"
#include "support/catch.hpp"
#include "support/temporary_directory.hpp"
#include "support/tolerance.hpp"

using namespace lora;
using namespace lora::peft;
using namespace lora::test;

TEST_CASE("one include saves, loads and reads adapters") {
  const TemporaryDirectory directory;
  GoldenNet<float> net({.rank = 2}), other;
  net.wide.lora_B().value.setOnes();
  save_adapter(directory.path(), net.slots());
  load_adapter(directory.path(), other.slots());
  CHECK(same_bits(Matrix<float>(other.wide.lora_A().value), net.wide.lora_A().value));
  CHECK(read_adapter<float>(directory.path()).modules.at("encoder.wide").b.value.isOnes());
}

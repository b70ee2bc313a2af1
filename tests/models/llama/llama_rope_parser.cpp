#include <lora/models/llama/llama_rope_parser.hpp>

#include <string>

#include "support/catch.hpp"
#include "support/throws.hpp"

using namespace lora;
using namespace lora::test;

namespace {

RotaryConfig rope_of(const std::string& fields) {
  const models::ConfigFields json("{" + fields + "}", "config.json");
  return models::detail::read_rope(json, 64);
}

}  // namespace

TEST_CASE("rotary positions are resolved as transformers does") {
  CHECK(rope_of("").theta == 10000);
  CHECK(rope_of(R"("rope_theta": 500)").theta == 500);
  CHECK(rope_of(R"("rope_theta": 500, "rope_parameters": {"rope_theta": 700})").theta == 700);
  // rope_scaling replaces rope_parameters as a whole.
  const RotaryConfig both = rope_of(
      R"("rope_theta": 500, "rope_parameters": {"rope_theta": 700, "rope_type": "dynamic",
         "factor": 9}, "rope_scaling": {"type": "linear", "factor": 3})");
  CHECK(both.theta == 500);
  CHECK(both.scaling == RotaryScaling::linear);
  CHECK(both.factor == 3);
  CHECK(rope_of(R"("rope_scaling": null, "rope_parameters": {"rope_type": "default"})").scaling ==
        RotaryScaling::none);
  const RotaryConfig llama3 = rope_of(
      R"("rope_scaling": {"rope_type": "llama3", "factor": 8, "low_freq_factor": 1,
         "high_freq_factor": 4, "original_max_position_embeddings": 16})");
  CHECK(llama3.original_positions == 16);
  const RotaryConfig beside = rope_of(
      R"("original_max_position_embeddings": 32,
         "rope_parameters": {"rope_type": "yarn", "factor": 8,
         "original_max_position_embeddings": 16})");
  CHECK(beside.original_positions == 32);
  const RotaryConfig yarn = rope_of(
      R"("rope_parameters": {"rope_type": "yarn", "factor": 4, "attention_factor": 2,
         "beta_fast": 16, "truncate": false, "mscale": 1, "mscale_all_dim": 0.5})");
  CHECK(yarn.original_positions == 64);
  CHECK(yarn.attention_factor == 2);
  CHECK(yarn.beta_fast == 16);
  CHECK(!yarn.truncate);
  CHECK(yarn.mscale_all_dim == 0.5);
}

TEST_CASE("rotary positions that are incomplete or out of range are refused") {
  const auto refused = [](const std::string& fields, const std::string& part) {
    check_throws<FileError>([&] { static_cast<void>(rope_of(fields)); }, part);
  };
  refused(R"("rope_theta": 0)", "rope_theta is 0");
  refused(R"("rope_scaling": 3)", "rope_scaling is 3, expected an object");
  refused(R"("rope_scaling": {"type": "linear"})", "rope_scaling: has no \"factor\"");
  refused(R"("rope_scaling": {"type": "other", "factor": 2})", "rope_type is \"other\"");
  refused(R"("rope_scaling": {"type": 3})", "type is 3, expected a text");
  refused(R"("rope_scaling": {"type": "llama3", "factor": 2})", "has no \"low_freq_factor\"");
  refused(R"("rope_scaling": {"type": "linear", "factor": 0.5})",
          "factor is 0.5, expected at least 1");
  refused(R"("rope_parameters": {"rope_type": "default", "partial_rotary_factor": 0.5})",
          "partial_rotary_factor is 0.5, expected 1: partial rotary positions are not built");
  refused(R"("rope_scaling": {"type": "yarn", "factor": 2, "truncate": 1})", "truncate is 1");
}

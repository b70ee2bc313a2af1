// The real all-MiniLM-L6-v2, where the environment says where it is.
#include <lora/frozen/mapped_weight.hpp>

#include "models/bert/check_results.hpp"
#include "support/catch.hpp"
#include "support/skip.hpp"
#include "support/tolerance.hpp"

using namespace lora;
using lora::test::bert_data;

namespace {

test::GoldenBatch golden_batch(const io::SafetensorsReader& golden) {
  test::GoldenBatch batch;
  batch.tokens = {test::read_integers(golden, "ids"), test::read_integers(golden, "type_ids"),
                  test::read_integers(golden, "attention_mask")};
  return batch;
}

}  // namespace

TEST_CASE("all-MiniLM-L6-v2 has transformers' hidden states and sentence embeddings") {
  const auto directory = test::folder_or_skip("LORA_MINILM_DIR");
  if (!directory) return;
  const io::SafetensorsReader golden(bert_data("minilm/base.safetensors"));
  const models::PackedBatch batch(golden_batch(golden).tokens);
  Matrix<float> hidden, mean;
  const auto check = [&](const auto& model) {
    model.forward(batch, hidden);
    REQUIRE(hidden.rows() == 11);
    REQUIRE(hidden.cols() == 384);
    CHECK(test::largest_difference(hidden, golden.read<float>("hidden")) < 1e-4);
    model.embed(batch, mean);
    CHECK(test::largest_difference(mean, golden.read<float>("mean")) < 1e-4);
  };
  check(models::BertModel<float>(*directory));
  check(models::BertModel<float, MappedWeight<float>>(*directory));
}

TEST_CASE("an adapter of all-MiniLM-L6-v2 has PEFT's hidden states and every gradient of PyTorch") {
  const auto directory = test::folder_or_skip("LORA_MINILM_DIR");
  if (!directory) return;
  const auto adapter = bert_data("minilm");
  const auto batch = golden_batch(io::SafetensorsReader(adapter / "base.safetensors"));
  const auto check = [&](auto model) {
    CHECK(model.parameters().size() == 2 * 24);
    model.load_adapter(adapter);
    test::check_results(model, io::SafetensorsReader(adapter / "results.safetensors"), batch);
  };
  const auto options = test::without_dropout(peft::read_peft_config(adapter));
  check(models::BertModel<float>(*directory, options));
  check(models::BertModel<float, MappedWeight<float>>(*directory, options));
}

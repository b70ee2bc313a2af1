// BertModel against transformers, and what every model does.
#include <lora/models/bert/bert_model.hpp>

#include <lora/frozen/block_weight.hpp>
#include <lora/frozen/dense_weight.hpp>

#include "contracts/model.hpp"
#include "models/bert/golden_bert.hpp"
#include "support/catch.hpp"
#include "support/tolerance.hpp"

using namespace lora;
using lora::test::bert_data;
using lora::test::GoldenBatch;
using lora::test::largest_difference;

TEST_CASE("BERT's hidden states are transformers'") {
  const GoldenBatch batch;
  const io::SafetensorsReader golden(bert_data("full.safetensors"));
  const models::BertModel<float> packed(bert_data("tiny"));
  const models::BertModel<float, MappedWeight<float>> mapped(bert_data("tiny"));
  const models::BertModel<float, BlockWeight<float>> rows(bert_data("tiny"));
  Matrix<float> hidden, pooled;
  const models::PackedBatch all(batch.tokens);
  packed.forward(batch.tokens, hidden);
  CHECK(largest_difference(hidden, golden.read<float>("hidden.2")) < 1e-4);
  mapped.forward(all, hidden);
  CHECK(largest_difference(hidden, golden.read<float>("hidden.2")) < 1e-4);
  mapped.pooler_output(all, pooled);
  CHECK(largest_difference(pooled, golden.read<float>("pooler_output")) < 1e-4);
  rows.pooler_output(all, pooled);
  CHECK(largest_difference(pooled, golden.read<float>("pooler_output")) < 1e-4);
}

TEST_CASE("a BERT without head keeps the contract of models", "[threads]") {
  const auto load = []<class Frozen>(std::type_identity<Frozen>) {
    return [](const peft::PeftConfig& lora) {
      return models::BertModel<float, Frozen>(bert_data("tiny"), test::contract_options(lora));
    };
  };
  const auto lora = test::contract_lora("FEATURE_EXTRACTION");
  test::model_contract<models::BertTape<float>>(load(std::type_identity<PackedWeight<float>>{}),
                                                lora, test::two_batches())
      .check();
  test::model_contract<models::BertTape<float>>(load(std::type_identity<DenseWeight<float>>{}),
                                                lora, test::two_batches())
      .check();
}

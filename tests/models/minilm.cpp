// The real all-MiniLM-L6-v2, where the environment says where it is.
#include <cstdlib>
#include <filesystem>

#include <lora/frozen/mapped_weight.hpp>

#include "models/golden_bert.hpp"
#include "support/catch.hpp"
#include "support/tolerance.hpp"

using namespace lora;
using lora::test::bert_data;

TEST_CASE("all-MiniLM-L6-v2 has transformers' hidden states and sentence embeddings") {
  const char* directory = std::getenv("LORA_MINILM_DIR");
  if (directory == nullptr) {
    WARN("skipped: LORA_MINILM_DIR does not name the directory of all-MiniLM-L6-v2");
    return;
  }
  const io::SafetensorsReader golden(bert_data("minilm.safetensors"));
  const Matrix<int> mask = test::read_integers(golden, "attention_mask");
  const text::TokenBatch batch{test::read_integers(golden, "ids"),
                               Matrix<int>::Zero(mask.rows(), mask.cols()), mask};
  models::BertBuffers<float> buffers;
  Matrix<float> hidden, mean;
  const auto check = [&](const auto& model) {
    model.forward(batch, buffers, hidden);
    REQUIRE(hidden.cols() == 384);
    CHECK(test::largest_difference(hidden.leftCols(32), golden.read<float>("hidden")) < 1e-4);
    model.embed(batch, buffers, mean);
    CHECK(test::largest_difference(mean, golden.read<float>("mean")) < 1e-4);
  };
  check(models::BertModel<float>(directory));
  check(models::BertModel<float, MappedWeight<float>>(directory));
}

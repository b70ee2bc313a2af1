// Reads any bytes as a BERT's config.json: sizes that were read fit each other and can be computed
// with, and its modules have names of their own.
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <set>
#include <string>

#include <lora/models/bert/bert_config.hpp>
#include <lora/models/bert/bert_outline.hpp>

namespace {

void require(bool holds) {
  if (!holds) std::abort();
}

bool is_probability(double p) { return p >= 0 && p < 1; }

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace lora;
  models::BertConfig config;
  try {
    config = models::parse_bert_config({reinterpret_cast<const char*>(data), size}, "fuzz");
  } catch (const FileError&) {
    return 0;  // what a file deserves that is not one
  }
  require(config.num_attention_heads >= 1 && config.head_features() >= 1);
  require(config.head_features() * config.num_attention_heads == config.hidden_size);
  require(config.vocab_size >= 1 && config.intermediate_size >= 1 && config.type_vocab_size >= 1);
  require(config.max_position_embeddings >= 1 && config.num_labels >= 1);
  // What the tensors of a model may hold: no size overflows.
  for (const Index rows : {config.vocab_size, config.intermediate_size, config.hidden_size,
                           config.max_position_embeddings, config.num_labels}) {
    Index elements = 0;
    require(!__builtin_mul_overflow(rows, config.hidden_size * Index{sizeof(double)}, &elements));
  }
  require(is_probability(config.hidden_dropout_prob));
  require(is_probability(config.attention_probs_dropout_prob));
  require(is_probability(config.classifier_dropout.value_or(0)));
  require(config.layer_norm_eps > 0 && std::isfinite(config.layer_norm_eps));
  require(config.initializer_range > 0 && std::isfinite(config.initializer_range));
  require(config.pad_token_id.value_or(0) >= 0 &&
          config.pad_token_id.value_or(0) < config.vocab_size);
  if (config.num_hidden_layers > 8) return 0;
  std::set<std::string> names;
  const auto outline = models::bert_outline(config, {.prefix = "bert.", .classifier = true});
  for (const auto& module : outline.modules) require(names.insert(module.name).second);
  return 0;
}

#include <lora/models/llama/llama_model.hpp>

#include <cmath>
#include <string>
#include <vector>

#include <lora/frozen/half_weight.hpp>
#include <lora/frozen/mapped_weight.hpp>
#include <lora/peft/peft_config_file.hpp>

#include "contracts/model.hpp"
#include "models/llama/golden_llama.hpp"
#include "support/allocations.hpp"
#include "support/catch.hpp"
#include "support/finite_difference.hpp"
#include "support/random_matrix.hpp"
#include "support/threads.hpp"
#include "support/throws.hpp"
#include "support/tolerance.hpp"

using namespace lora;
using namespace lora::models;
using namespace lora::test;

namespace {

const std::vector<std::string> llama_cases{"llama",  "biases",     "head_dim", "linear",  "dynamic",
                                           "llama3", "yarn",       "tied",     "mistral", "qwen2",
                                           "qwen3",  "saved_head", "bfloat16", "float16"};

// The gradients of what trains are those that PEFT computed.
template <class Model>
void check_golden_gradients(Model& model, const GoldenLlama& golden) {
  Index seen = 0;
  for (const Parameter<float>* parameter : model.parameters()) {
    CAPTURE(parameter->name);
    Matrix<float> expected = golden.reader.read<float>("grad." + parameter->name);
    expected.resize(parameter->grad.rows(), parameter->grad.cols());
    CHECK(relative_error(parameter->grad.cast<double>(), expected.cast<double>()) < 1e-3);
    ++seen;
  }
  CHECK(seen > 0);
}

template <class T = float, class Frozen = PackedWeight<T>>
LlamaModel<T, Frozen> adapted_llama(const std::string& name, bool recompute = false) {
  const auto folder = llama_data(name) / "adapter";
  LlamaModel<T, Frozen> model(llama_data(name), {.tuning = peft::read_peft_config(folder),
                                                 .recompute_activations = recompute});
  model.load_adapter(folder);
  return model;
}

}  // namespace

TEST_CASE("logits of every kind of decoder are transformers'") {
  for (const std::string& name : llama_cases) {
    CAPTURE(name);
    const GoldenLlama golden(name);
    const LlamaModel<float> model(llama_data(name));
    Matrix<float> logits;
    model.logits(golden.batch, logits);
    CHECK(largest_difference(logits, golden.reader.read<float>("logits")) < 1e-4);
  }
}

TEST_CASE("logits, loss and gradients of adapted decoders are PEFT's") {
  for (const std::string& name : llama_cases)
    for (const bool recompute : {false, true}) {
      CAPTURE(name, recompute);
      const GoldenLlama golden(name);
      LlamaModel<float> model = adapted_llama(name, recompute);
      Matrix<float> logits;
      model.logits(golden.batch, logits);
      CHECK(largest_difference(logits, golden.reader.read<float>("adapted_logits")) < 1e-4);

      CausalTape<float> tape;
      const LanguageModelLoss loss = model.loss(golden.batch, golden.labels, tape);
      model.backward(tape);
      CHECK(tape.empty());
      CHECK(loss.mean() == Approx(golden.reader.read<float>("loss")(0, 0)).epsilon(1e-5));
      CHECK(model.loss(golden.batch, golden.labels).mean() == Approx(loss.mean()).epsilon(1e-6));
      check_golden_gradients(model, golden);
    }
}

TEST_CASE("a decoder's storage may map the files, and then nothing changes but roundings") {
  const GoldenLlama golden("qwen3");
  LlamaModel<float, MappedWeight<float>> model = adapted_llama<float, MappedWeight<float>>("qwen3");
  Matrix<float> logits;
  model.logits(golden.batch, logits);
  CHECK(largest_difference(logits, golden.reader.read<float>("adapted_logits")) < 1e-4);
}

// The files of these models are bfloat16, and the embeddings of one are its head too.
TEST_CASE("a decoder keeps the bits of its files in half the memory") {
  for (const std::string name : {"bfloat16", "tied"}) {
    CAPTURE(name);
    using Halved = LlamaModel<float, HalfWeight<float>>;
    const GoldenLlama golden(name);
    Halved model = adapted_llama<float, HalfWeight<float>>(name);
    const double rounded = name == "bfloat16" ? 1e-4 : 0.05;
    Matrix<float> logits;
    model.logits(golden.batch, logits);
    CHECK(largest_difference(logits, golden.reader.read<float>("adapted_logits")) < rounded);
    CausalTape<float> tape;
    static_cast<void>(model.loss(golden.batch, golden.labels, tape));
    model.backward(tape);
    if (name == "bfloat16") check_golden_gradients(model, golden);

    // Token by token it is the same as at once.
    KVCache<float> cache = model.make_cache(1, 12);
    Matrix<float> next;
    for (int i = 0; i < 12; ++i) {
      model.next_logits(std::span(golden.ids).subspan(static_cast<std::size_t>(i), 1),
                        std::vector<int>{1}, cache, next);
      CHECK(largest_difference(next, logits.row(i)) < 1e-4);
    }
  }
}

TEST_CASE("a decoder's gradients agree with finite differences, of weights and embeddings too") {
  for (const std::string name : {"llama", "tied", "qwen3"}) {
    CAPTURE(name);
    const GoldenLlama golden(name);
    LlamaModel<double> model(llama_data(name), {.tuning = FullTuning{}});
    CausalTape<double> tape;
    zero_grad(model.parameters());
    static_cast<void>(model.loss(golden.batch, golden.labels, tape));
    model.backward(tape);
    for (Parameter<double>* parameter : model.parameters()) {
      CAPTURE(parameter->name);
      // The steepest direction of the gradient: one number for each parameter.
      const Matrix<double> grad = parameter->grad;
      const double norm = grad.norm(), h = 1e-6;
      REQUIRE(norm > 0);
      const Matrix<double> value = parameter->value;
      const auto at = [&](double step) {
        parameter->value = value + step / norm * grad;
        return model.loss(golden.batch, golden.labels).mean();
      };
      const double slope = (at(h) - at(-h)) / (2 * h);
      parameter->value = value;
      CHECK(std::abs(slope - norm) < 1e-5 * std::max(1.0, norm));
    }
  }
}

TEST_CASE("tied weights train as one under full fine-tuning, and part for modules_to_save") {
  LlamaModel<float> full(llama_data("tied"), {.tuning = FullTuning{}});
  Index heads = 0, embeddings = 0;
  for (const Parameter<float>* parameter : full.parameters()) {
    if (parameter->name == "lm_head.weight") ++heads;
    if (parameter->name == "model.embed_tokens.weight") ++embeddings;
  }
  CHECK(heads == 0);
  CHECK(embeddings == 1);
  LlamaModel<float> saved(llama_data("tied"),
                          {.tuning = peft::PeftConfig{.r = 2, .modules_to_save = {"lm_head"}}});
  LlamaModel<float> frozen(llama_data("tied"));
  CHECK(saved.total_parameters() ==
        frozen.total_parameters() + 40 * 16 + 2 * 2 * (2 * 16 + 16 + 8));
  // The head moves, and the embeddings stay.
  const GoldenLlama golden("tied");
  Matrix<float> before, after;
  saved.forward(golden.batch, before);
  for (Parameter<float>* parameter : saved.stored_parameters())
    if (parameter->name == "lm_head.weight") parameter->value.setZero();
  saved.forward(golden.batch, after);
  CHECK(same_bits(before, after));
  saved.logits(golden.batch, after);
  CHECK(after.isZero(0));
}

TEST_CASE("merging a head that is tied leaves the embeddings as they are") {
  const peft::PeftConfig config{.r = 2, .target_modules = std::vector<std::string>{"lm_head"}};
  LlamaModel<float> model(llama_data("tied"), {.tuning = config});
  randomise(model);
  const GoldenLlama golden("tied");
  Matrix<float> hidden, merged_hidden, logits, merged_logits;
  model.forward(golden.batch, hidden);
  model.logits(golden.batch, logits);
  model.merge_adapters();
  model.forward(golden.batch, merged_hidden);
  model.logits(golden.batch, merged_logits);
  CHECK(same_bits(hidden, merged_hidden));
  CHECK(largest_difference(logits, merged_logits) < 1e-4);
}

TEST_CASE("texts of a batch do not see each other, and padding on either side changes nothing") {
  const GoldenLlama golden("mistral");
  const LlamaModel<float> model(llama_data("mistral"));
  Matrix<float> together, alone;
  model.logits(golden.batch, together);
  const std::vector<int> second(golden.ids.begin() + 12, golden.ids.end());
  model.logits(CausalBatch(second, std::vector<int>{7}), alone);
  CHECK(largest_difference(together.bottomRows(7), alone) < 1e-5);
  text::TokenBatch padded;
  padded.ids = Matrix<int>::Zero(2, 12);
  padded.attention_mask = Matrix<int>::Zero(2, 12);
  for (Index i = 0; i < 12; ++i) {
    padded.ids(0, i) = golden.ids[static_cast<std::size_t>(i)];
    padded.attention_mask(0, i) = 1;
  }
  for (Index i = 0; i < 7; ++i) {
    padded.ids(1, 5 + i) = second[static_cast<std::size_t>(i)];
    padded.attention_mask(1, 5 + i) = 1;
  }
  Matrix<float> left;
  model.logits(CausalBatch(padded), left);
  CHECK(same_bits(left, together));
}

TEST_CASE("a decoder keeps its contract") {
  const GoldenLlama golden("qwen3");
  const auto load = [](const peft::PeftConfig& tuning) {
    return LlamaModel<float>(llama_data("qwen3"),
                             {.tuning = tuning, .seed = 3, .attention_dropout = 0.1});
  };
  const peft::PeftConfig lora{.r = 2,
                              .lora_alpha = 4,
                              .lora_dropout = 0.2,
                              .target_modules = std::string("all-linear"),
                              .modules_to_save = {"lm_head"}};
  const std::vector<int> ids{1, 2, 3, 4, 5};
  const std::vector<CausalBatch> batches{golden.batch, CausalBatch(ids, std::vector<int>{2, 3})};
  model_contract<CausalTape<float>>(load, lora, batches).check();
}

TEST_CASE("decoding with a cache gives what whole texts give, for any number of threads") {
  for (const std::string name : {"llama", "mistral", "qwen3", "tied", "yarn"}) {
    CAPTURE(name);
    const GoldenLlama golden(name);
    const LlamaModel<float> model = adapted_llama(name);
    Matrix<float> whole;
    model.logits(golden.batch, whole);
    KVCache<float> cache = model.make_cache(2, 12);
    const std::vector<int>& ids = golden.ids;
    const auto at = [&](Index text, Index token) {
      return ids[static_cast<std::size_t>(text == 0 ? token : 12 + token)];
    };
    // The beginnings together, then a token of each, and the first text alone at the end.
    std::vector<int> fresh, counts{4, 3};
    while (counts[0] + counts[1] > 0) {
      fresh.clear();
      for (Index b = 0; b < 2; ++b)
        for (Index i = 0; i < counts[static_cast<std::size_t>(b)]; ++i)
          fresh.push_back(at(b, cache.length(b) + i));
      Matrix<float> logits, again;
      KVCache<float> copy = cache;
      model.next_logits(fresh, counts, cache, logits);
      {
        const Threads three(3);
        model.next_logits(fresh, counts, copy, again);
      }
      CHECK(same_bits(logits, again));
      Index row = 0;
      for (Index b = 0; b < 2; ++b)
        if (counts[static_cast<std::size_t>(b)] > 0)
          CHECK(largest_difference(logits.row(row++),
                                   whole.row((b == 0 ? 0 : 12) + cache.length(b) - 1)) < 1e-4);
      CHECK(row == logits.rows());
      counts = {cache.length(0) < 12 ? 1 : 0, cache.length(1) < 7 ? 1 : 0};
    }
  }
}

TEST_CASE("a second step of a decoder allocates nothing, in training and in decoding") {
  const GoldenLlama golden("qwen3");
  LlamaModel<float> model = adapted_llama("qwen3");
  const Threads threads(countable_threads(2));
  CausalTape<float> tape;
  const auto step = [&] {
    static_cast<void>(model.loss(golden.batch, golden.labels, tape));
    model.backward(tape);
  };
  step();
  step();
  CHECK(allocations_of(step).count == 0);
  KVCache<float> cache = model.make_cache(2, 12);
  Matrix<float> logits;
  const std::vector<int> ids{3, 4}, counts{1, 1};
  const auto decode = [&] { model.next_logits(ids, counts, cache, logits); };
  decode();
  decode();
  CHECK(allocations_of(decode).count == 0);
}

TEST_CASE("a decoder refuses what it cannot compute, and stays as it was") {
  const GoldenLlama golden("llama");
  LlamaModel<float> model = adapted_llama("llama");
  CausalTape<float> tape;
  Matrix<float> y;
  const auto batch = [](std::vector<int> ids) {
    const std::vector<int> lengths{static_cast<int>(ids.size())};
    return CausalBatch(ids, lengths);
  };
  check_throws<ShapeError>([&] { model.logits(batch({1, 40}), y); }, "id 1 is 40");
  check_throws<ShapeError>([&] { model.logits(batch(std::vector<int>(65, 1)), y); },
                           "text 0 of the batch has 65 tokens, expected at most 64");
  const auto loss = [&](std::vector<int> labels, std::optional<Index> total = {}) {
    static_cast<void>(model.loss(batch({1, 2, 3}), labels, tape, total));
  };
  check_throws<ShapeError>([&] { loss({1, 2}); }, "2 labels");
  check_throws<ShapeError>([&] { loss({1, 2, 40}); }, "label 2 is 40");
  // A text's first label counts nothing.
  check_throws<ConfigError>([&] { loss({1, -100, -100}); }, "0 of the labels count");
  check_throws<ConfigError>([&] { loss({1, 2, 3}, 1); }, "more than total says");
  CHECK_THROWS_AS(model.backward(tape), StateError);
  for (const Parameter<float>* parameter : model.parameters()) CHECK(parameter->grad.isZero(0));

  KVCache<float> cache = model.make_cache(2, 3);
  const auto next = [&](std::vector<int> ids, std::vector<int> counts) {
    model.next_logits(ids, counts, cache, y);
  };
  next({1, 2}, {1, 1});
  check_throws<ShapeError>([&] { next({1, 2, 3}, {3, 0}); }, "sequence 0 holds 1 tokens");
  check_throws<ShapeError>([&] { next({1}, {1, 1}); }, "1 ids, expected the 2");
  check_throws<ShapeError>([&] { next({1, -1}, {1, 1}); }, "id 1 is -1");
  CHECK(cache.length(0) == 1);
  KVCache<float> other(1, 2, 3, 8);
  check_throws<ShapeError>(
      [&] {
        model.next_logits(std::vector<int>{1}, std::vector<int>{1, 0}, other, y);
      },
      "expected one of make_cache");
}

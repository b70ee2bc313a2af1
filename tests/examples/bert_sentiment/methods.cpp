#include "examples/bert_sentiment/methods.hpp"

#include <cmath>
#include <filesystem>
#include <sstream>

#include "examples/bert_sentiment/experiment.hpp"
#include "examples/bert_sentiment/tiny_task.hpp"
#include "support/catch.hpp"

using namespace sentiment;
using Catch::Matchers::ContainsSubstring;

namespace {

// What is quick to run, and learns the tiny task.
MethodOptions few_methods() {
  MethodOptions wanted;
  wanted.ranks = {1, 4};
  wanted.bottlenecks = {4};
  wanted.layers = {1};
  wanted.seeds = 1;
  for (auto& [family, rates] : wanted.learning_rates) rates = {0.01};
  wanted.learning_rates[Family::lora] = {0.02};
  return wanted;
}

Comparison compare_tiny(const bert::Options& options, const MethodOptions& wanted,
                        const lora::test::TinyTask& tiny, std::ostream& errors) {
  return run_methods(
      options, wanted, [&](const bert::Options& of_seed) { return methods(of_seed, wanted); },
      tiny.problem(), *tiny.tokenizer, errors, false);
}

}  // namespace

TEST_CASE("every way of adapting is trained, stored, and compared with the base") {
  const lora::test::TinyTask tiny;
  bert::Options options = tiny.options;
  options.epochs = 3;
  std::ostringstream errors;
  const Comparison comparison = compare_tiny(options, few_methods(), tiny, errors);
  const auto& results = comparison.results;
  CHECK(comparison.trials.empty());
  REQUIRE(results.size() == 1);
  REQUIRE(results[0].size() == 6);
  const Result &head = results[0][0], &rank1 = results[0][1], &rank4 = results[0][2],
               &bottleneck = results[0][3], &last = results[0][4], &full = results[0][5];
  CHECK(full.method == "full fine-tuning");

  // The classifier; A and B of query and value in two layers beside it.
  CHECK(head.trainable == 2 * 16 + 2);
  CHECK(rank1.trainable == 2 * 2 * 1 * (16 + 16) + head.trainable);
  CHECK(rank4.trainable == 2 * 2 * 4 * (16 + 16) + head.trainable);
  CHECK(last.trainable > bottleneck.trainable);
  CHECK(full.trainable > last.trainable);
  for (const Result& each : results[0]) {
    CAPTURE(each.method);
    CHECK(each.stored > static_cast<std::uintmax_t>(each.trainable) * sizeof(float));
    CHECK(each.test >= 0);
    CHECK(each.seconds > 0);
    CHECK(each.peak_mib > 0);
  }
  for (const Result* each : {&rank4, &full, &bottleneck, &last}) CHECK(each->test > 80);

  // The base: whole under a head; back when adapters are off; changed by all else.
  CHECK(head.similarity == Approx(1).epsilon(1e-6));
  for (const Result* each : {&rank1, &rank4}) {
    CHECK(each->similarity < 0.9999);
    CHECK(each->similarity_off.value() == Approx(1).epsilon(1e-6));
  }
  for (const Result* each : {&full, &bottleneck, &last}) {
    CHECK(each->similarity < 0.9999);
    CHECK_FALSE(each->similarity_off.has_value());
  }
  for (const char* folder : {"head", "lora-r1", "lora-r4", "bottleneck-4", "last-1", "full"})
    CHECK(std::filesystem::exists(tiny / "out/seed-1" / folder));
  CHECK_THAT(errors.str(),
             ContainsSubstring("seed 1, LoRA, rank 4, rate 2e-2: validation accuracy "));
}

TEST_CASE("a method's best learning rate under the first seed is taken for all seeds") {
  const lora::test::TinyTask tiny;
  bert::Options options = tiny.options;
  options.epochs = 2;
  MethodOptions wanted = few_methods();
  wanted.families = {Family::lora, Family::head};
  wanted.ranks = {4};
  wanted.seeds = 2;
  wanted.learning_rates[Family::lora] = {1e-6, 0.02, 1e-5};
  std::ostringstream errors;
  const Comparison comparison = compare_tiny(options, wanted, tiny, errors);
  REQUIRE(comparison.trials.size() == 3);
  for (std::size_t i = 0; i < 3; ++i) {
    CHECK(comparison.trials[i].method == "LoRA, rank 4");
    CHECK(comparison.trials[i].learning_rate == wanted.learning_rates[Family::lora][i]);
  }
  CHECK(comparison.trials[1].validation > comparison.trials[0].validation);
  for (const auto& of_methods : comparison.results) {
    CHECK(of_methods[0].learning_rate == 0.01);
    CHECK(of_methods[1].learning_rate == 0.02);
  }
  const Result& taken = comparison.results[0][1];
  CHECK(taken.validation == comparison.trials[1].validation);

  // It is what that rate gives alone, and what lies in the folder.
  wanted.families = {Family::lora};
  wanted.seeds = 1;
  wanted.learning_rates[Family::lora] = {0.02};
  options.out = (tiny / "alone").string();
  const Result alone = compare_tiny(options, wanted, tiny, errors).results[0][0];
  CHECK(alone.validation == taken.validation);
  CHECK(alone.test == taken.test);
  CHECK(alone.similarity == taken.similarity);
  const auto weights = [&](const char* folder) {
    return lora::io::SafetensorsReader(tiny / folder / "seed-1/lora-r4/adapter_model.safetensors")
        .read<float>("base_model.model.classifier.weight");
  };
  CHECK(weights("alone") == weights("out"));
  std::size_t folders = 0;
  for (const auto& each : std::filesystem::directory_iterator(tiny / "out/seed-1")) {
    CAPTURE(each.path());
    ++folders;
  }
  CHECK(folders == 2);  // no rate that was not taken
}

TEST_CASE("all ways of adapting begin alike, and train with the base's dropout") {
  const lora::test::TinyTask tiny;
  const bert::Problem problem = tiny.problem();
  const auto first_loss = [&](const Method& method, double base_dropout) {
    bert::Options options = tiny.options;
    options.base_dropout = base_dropout;
    bert::Classifier<bert::BertTask::sequence_classification> learner(
        Model(options.model, bert::model_options(options, method.tuning, 2)), *tiny.tokenizer,
        problem, 16, options.seed);
    return learner.loss(learner.batches(0)[0]).loss;
  };
  const std::vector<Method> all = methods(tiny.options, few_methods());
  const double head_alone = first_loss(all.front(), 0);
  for (const Method& method : all) {
    CAPTURE(method.name);
    const double loss = first_loss(method, 0);
    // One classifier, chosen by the seed, on the base: B is zero, nothing else has changed. Beside
    // bottleneck adapters, which are drawn too, it is another one.
    if (method.family != Family::bottleneck) CHECK(loss == Approx(head_alone).epsilon(1e-5));
    CHECK(std::abs(first_loss(method, 0.1) - loss) > 1e-5);  // rounding is far below
  }
}

TEST_CASE("the cosine of embeddings is taken row by row") {
  lora::Matrix<float> a(2, 2), b(2, 2);
  a << 1, 0, 3, 4;
  b << 5, 0, 4, -3;
  CHECK(mean_cosine(a, a) == Approx(1));
  CHECK(mean_cosine(a, b) == Approx(0.5));
}

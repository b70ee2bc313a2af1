#include "examples/bert_sentiment/variants.hpp"

#include <filesystem>
#include <fstream>
#include <sstream>

#include "benchmarks/well_formed.hpp"
#include "examples/bert_sentiment/experiment.hpp"
#include "examples/bert_sentiment/tiny_task.hpp"
#include "examples/bert_sentiment/variants_chart.hpp"
#include "support/catch.hpp"

using namespace sentiment;
using Catch::Matchers::ContainsSubstring;

namespace {

struct ParsedVariants {
  bert::Options options;
  VariantOptions wanted;
};

ParsedVariants parse_variants(const std::string& arguments) {
  CLI::App app;
  ParsedVariants parsed;
  bert::add_options(app, parsed.options, "");
  add_variant_options(app, parsed.wanted, parsed.options);
  app.parse(arguments);
  return parsed;
}

Comparison compare_variants(const bert::Options& options, const VariantOptions& wanted,
                            const lora::test::TinyTask& tiny, std::ostream& errors) {
  return run_methods(
      options, wanted, [&](const bert::Options& of_seed) { return variants(of_seed, wanted); },
      tiny.problem(), *tiny.tokenizer, errors, false);
}

}  // namespace

TEST_CASE("options of the comparison of variants are parsed, and have defaults") {
  const VariantOptions plain = parse_variants("").wanted;
  REQUIRE(plain.variants.size() == 7);
  for (const Variant variant : plain.variants)
    CHECK(plain.learning_rates.at(variant).size() ==
          plain.learning_rates.at(Variant::lora).size());  // none has more chances

  const ParsedVariants given = parse_variants(
      "--variants dora,lora-fa --rank 4 --alpha 4 --lora-fa-learning-rates 1e-3,0.01 --seeds 2");
  const std::vector<Method> all = variants(given.options, given.wanted);
  REQUIRE(all.size() == 2);
  CHECK(all[0].name == "DoRA");
  CHECK(all[1].folder == "lora-fa");
  CHECK(all[1].learning_rates == std::vector<double>{1e-3, 0.01});
  // B alone trains, at twice the rank, and with LoRA's scaling.
  const auto& fa = std::get<lora::peft::PeftConfig>(all[1].tuning);
  CHECK(fa.r == 8);
  CHECK(fa.lora_alpha == 8);
  CHECK_THROWS_AS(parse_variants("--variants lora,nonsense"), CLI::ParseError);
  CHECK_THROWS_AS(parse_variants("--lora-plus-learning-rates 0"), CLI::ParseError);
  CHECK_THROWS_AS(parse_variants("--dora"), CLI::ExtrasError);
}

TEST_CASE(
    "every variant trains as many parameters, learns, and is stored, and a comparison goes on") {
  const lora::test::TinyTask tiny;
  bert::Options options = tiny.options;
  options.epochs = 3;
  VariantOptions wanted;
  wanted.seeds = 1;
  for (auto& [variant, rates] : wanted.learning_rates) rates = {0.02};
  wanted.learning_rates[Variant::lora_plus] = {1e-6, 2e-3};
  std::ostringstream errors;
  const Comparison comparison = compare_variants(options, wanted, tiny, errors);
  const auto& results = comparison.results.at(0);
  REQUIRE(results.size() == 7);
  REQUIRE(comparison.trials.size() == 2);
  const Result& lora = results[0];
  for (std::size_t i = 0; i < results.size(); ++i) {
    const Result& each = results[i];
    CAPTURE(each.method);
    const bool dora = each.method == "DoRA";
    // Query and value of two layers have 16 magnitudes each.
    CHECK(each.trainable == lora.trainable + (dora ? 2 * 2 * 16 : 0));
    CHECK(each.test > 80);
    CHECK(each.similarity < 0.9999);
    // PiSSA and OLoRA took part of the weights, which are not the base without them.
    if (each.method == "PiSSA" || each.method == "OLoRA")
      CHECK_FALSE(each.similarity_off.has_value());
    else
      CHECK(each.similarity_off.value() == Approx(1).epsilon(1e-6));
    CHECK(std::filesystem::exists(tiny / "out/seed-1" / variants(options, wanted)[i].folder));
  }

  // The same once more, of which nothing is trained; then another run, which is refused.
  options.resume = true;
  std::ostringstream again;
  const Comparison known = compare_variants(options, wanted, tiny, again);
  CHECK(again.str().empty());
  REQUIRE(known.results.at(0).size() == 7);
  REQUIRE(known.trials.size() == 2);
  for (std::size_t i = 0; i < results.size(); ++i)
    CHECK(to_json(known.results[0][i]) == to_json(results[i]));
  CHECK(std::filesystem::exists(tiny / "out/seed-1/lora-plus"));
  options.epochs = 2;
  CHECK_THROWS_WITH(compare_variants(options, wanted, tiny, again),
                    ContainsSubstring("results.jsonl: is of a run with epochs = 3"));
}

TEST_CASE("LoRA-FA leaves A as it starts, PiSSA and OLoRA what the model computes") {
  const lora::test::TinyTask tiny;
  const auto made = [&](Variant variant) {
    const Method method = variant_method(variant, tiny.options);
    Model model(tiny.options.model, bert::model_options(tiny.options, method.tuning, 2));
    begin(model, method);
    return model;
  };
  Model fa = made(Variant::lora_fa);
  for (const auto* parameter : fa.parameters())
    CHECK(parameter->name.find("lora_A") == std::string::npos);
  const bert::Texts texts = tiny.problem().test;
  const auto base = embeddings(made(Variant::lora), texts, *tiny.tokenizer, 16);
  for (const Variant variant : {Variant::pissa, Variant::olora, Variant::lora_fa}) {
    const auto own = embeddings(made(variant), texts, *tiny.tokenizer, 16);
    CHECK((own - base).norm() < 1e-4 * base.norm());
  }
}

TEST_CASE("the drawing of variants is well-formed") {
  const std::vector<Result> seed{
      {.method = "LoRA", .learning_rate = 1e-3, .test = 85, .similarity = 0.75},
      {.method = "Do<RA", .learning_rate = 1e-3, .test = 87, .similarity = 0.5}};
  const std::string svg = variants_chart({seed, seed}, "a & b").svg();
  CHECK(lora::test::fault_of_xml(svg) == "");
  CHECK_THAT(svg,
             ContainsSubstring("Do&lt;RA: 87.0 +- 0.0; 0.500.") && ContainsSubstring("a &amp; b"));
}

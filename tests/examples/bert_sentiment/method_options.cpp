#include "examples/bert_sentiment/method_options.hpp"

#include "examples/bert_sentiment/methods.hpp"
#include "support/catch.hpp"

using namespace sentiment;

namespace {

struct ParsedMethods {
  bert::Options options;
  MethodOptions wanted;
};

ParsedMethods parse_methods(const std::string& arguments) {
  CLI::App app;
  ParsedMethods parsed;
  bert::add_options(app, parsed.options, "");
  add_method_options(app, parsed.wanted, parsed.options);
  app.parse(arguments);
  return parsed;
}

}  // namespace

TEST_CASE("options of the comparison are parsed, and have defaults") {
  const MethodOptions plain = parse_methods("").wanted;
  CHECK(plain.families.size() == 5);
  CHECK(plain.seeds == 3);
  for (const Family family : plain.families) CHECK_FALSE(plain.learning_rates.at(family).empty());
  CHECK_FALSE(parse_methods("").options.resume);
  CHECK(parse_methods("--resume").options.resume);

  const MethodOptions given = parse_methods(
                                  "--families lora,full --ranks 2,8 --bottlenecks 16 --layers 3 "
                                  "--seeds 2 --lora-learning-rates 1e-3,0.01 "
                                  "--full-learning-rates 2e-5 --untouched u --plot p --epochs 2")
                                  .wanted;
  CHECK(given.families == std::vector<Family>{Family::lora, Family::full});
  CHECK(given.ranks == std::vector<Index>{2, 8});
  CHECK(given.bottlenecks == std::vector<Index>{16});
  CHECK(given.layers == std::vector<Index>{3});
  CHECK(given.seeds == 2);
  CHECK(given.learning_rates.at(Family::lora) == std::vector<double>{1e-3, 0.01});
  CHECK(given.learning_rates.at(Family::full) == std::vector<double>{2e-5});
  CHECK(given.learning_rates.at(Family::head) == plain.learning_rates.at(Family::head));
  CHECK(given.untouched == "u");
  CHECK(given.plot == "p");
}

TEST_CASE("options of the comparison outside their range are refused") {
  for (const char* bad :
       {"--families lora,nonsense", "--ranks 0", "--ranks 4,x", "--bottlenecks 0", "--layers 0",
        "--seeds 0", "--lora-learning-rates 0", "--full-learning-rates 1e-4,-1",
        "--head-learning-rates 2", "--bottleneck-learning-rates x", "--layers-learning-rates nan"})
    CHECK_THROWS_AS(parse_methods(bad), CLI::ParseError);
  // What would do nothing, or be another way to say the same.
  for (const char* taken_away : {"--rank 4", "--alpha 4", "--learning-rate 0.1", "--record r"})
    CHECK_THROWS_AS(parse_methods(taken_away), CLI::ExtrasError);
}

TEST_CASE("methods have their family's learning rates, LoRA an alpha of twice its rank") {
  const ParsedMethods parsed = parse_methods(
      "--families full,lora --ranks 2,8 --lora-learning-rates 1e-3,1e-2 --full-learning-rates "
      "1e-5");
  const std::vector<Method> all = methods(parsed.options, parsed.wanted);
  REQUIRE(all.size() == 3);
  CHECK(all[0].name == "LoRA, rank 2");
  CHECK(all[0].learning_rates == std::vector<double>{1e-3, 1e-2});
  CHECK(all[2].name == "full fine-tuning");
  CHECK(all[2].learning_rates == std::vector<double>{1e-5});
  for (std::size_t i = 0; i < 2; ++i) {
    const auto& config = std::get<lora::peft::PeftConfig>(all[i].tuning);
    CHECK(config.r == parsed.wanted.ranks[i]);
    CHECK(config.lora_alpha == 2 * static_cast<double>(config.r));
  }
}

#include "examples/digits/options.hpp"

#include "support/catch.hpp"
#include "support/throws.hpp"

using namespace digits;

namespace {

Options parse(const std::string& arguments) {
  CLI::App app;
  Options options;
  add_options(app, options);
  app.parse(arguments);
  return options;
}

}  // namespace

TEST_CASE("options are parsed, and have defaults") {
  const Options plain = parse("");
  CHECK(plain.ranks == std::vector<Index>{1, 2, 4, 8, 16});
  CHECK(plain.lora_config(8) == lora::LoRAConfig{.rank = 8});
  CHECK(plain.lora_config(8).alpha_or_default() == 16);
  const Options given = parse(
      "--seed 7 --seeds 3 --ranks 2,32 --alpha 5 --dropout 0.25 --learning-rate 0.5 --epochs 2 "
      "--hidden 16 --batch 8 --out here --data . --tune");
  CHECK(given.seed == 7);
  CHECK(given.seeds == 3);
  CHECK(given.ranks == std::vector<Index>{2, 32});
  CHECK(given.lora_config(2) == lora::LoRAConfig{.rank = 2, .alpha = 5, .dropout = 0.25});
  CHECK(given.learning_rate == 0.5);
  CHECK(given.epochs == 2);
  CHECK(given.hidden == 16);
  CHECK(given.batch == 8);
  CHECK(given.out == "here");
  CHECK(given.data == ".");
  CHECK(given.tune);
}

TEST_CASE("options outside their range are refused") {
  for (const char* bad :
       {"--ranks 0", "--ranks 8,-1", "--ranks x", "--seeds 0", "--epochs 0", "--batch 0",
        "--hidden 0", "--dropout 1", "--dropout -0.1", "--learning-rate -1", "--threads 0",
        "--data /no/such/directory", "--nonsense 1"})
    CHECK_THROWS_AS(parse(bad), CLI::ParseError);
}

TEST_CASE("options that are no number are refused by name and value") {
  for (const char* option :
       {"--alpha", "--dropout", "--learning-rate", "--full-learning-rate", "--head-learning-rate"})
    for (const char* value : {"nan", "inf", "-inf", "x"})
      lora::test::check_throws<CLI::ParseError>(
          [&] { parse(std::string(option) + " " + value); },
          std::string(option) + ": Value " + value + " not in range");
}

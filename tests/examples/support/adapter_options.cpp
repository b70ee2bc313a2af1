#include "examples/support/adapter_options.hpp"

#include <string>
#include <vector>

#include "support/catch.hpp"

namespace {

examples::AdapterOptions parse(const std::string& arguments) {
  CLI::App app;
  examples::AdapterOptions options;
  examples::add_adapter_options(app, options, {"texts", "q,v", "perplexity"});
  CHECK(app.help().find("texts a step") != std::string::npos);
  app.parse(arguments);
  return options;
}

}  // namespace

TEST_CASE("options of adapters are parsed, and alpha is twice the rank without a word") {
  CHECK(parse("--rank 3").alpha_or_default() == 6);
  const examples::AdapterOptions given = parse(
      "--rank 4 --alpha 5 --dropout 0.25 --target-modules q,v --learning-rate 0.5 "
      "--weight-decay 0.125 --warmup 0.5 --epochs 2 --batch 9 --part-size 4 --patience 7");
  CHECK(given.rank == 4);
  CHECK(given.alpha_or_default() == 5);
  CHECK(given.dropout == 0.25);
  CHECK(given.targets == std::vector<std::string>{"q", "v"});
  CHECK(given.learning_rate == 0.5);
  CHECK(given.weight_decay == 0.125);
  CHECK(given.warmup == 0.5);
  CHECK(given.epochs == 2);
  CHECK(given.batch == 9);
  CHECK(given.part_size == 4);
  CHECK(given.patience == 7);
}

TEST_CASE("options of adapters outside their range are refused") {
  for (const char* bad : {"--rank 0", "--rank 4097", "--alpha nan", "--dropout 1",
                          "--learning-rate -1", "--weight-decay 2", "--warmup 1.5", "--epochs 0",
                          "--batch 0", "--part-size 0", "--patience 0"})
    CHECK_THROWS_AS(parse(bad), CLI::ParseError);
}

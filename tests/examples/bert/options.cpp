#include "examples/bert/options.hpp"

#include "examples/bert/model.hpp"
#include "support/catch.hpp"
#include "support/throws.hpp"

using namespace bert;

namespace {

Options parse(const std::string& arguments) {
  CLI::App app;
  Options options;
  add_options(app, options, "");
  app.parse(arguments);
  return options;
}

}  // namespace

TEST_CASE("BERT options are parsed, and have defaults") {
  const Options plain = parse("");
  CHECK(plain.alpha_or_default() == 2 * static_cast<double>(plain.rank));
  CHECK_FALSE(plain.base_dropout.has_value());
  const Options given = parse(
      "--model m --data d --out o --rank 4 --alpha 5 --dropout 0.25 --base-dropout 0 "
      "--target-modules key,output.dense --learning-rate 0.5 --weight-decay 0 --warmup 0.5 "
      "--epochs 2 --batch 8 --max-length 16 --part-size 4 --checkpoint-every 9 --patience 7 --seed "
      "3 --threads 2 --resume "
      "--record r");
  CHECK(given.model == "m");
  CHECK(given.data == "d");
  CHECK(given.out == "o");
  CHECK(given.base_dropout == 0.0);
  CHECK(given.max_length == 16);
  CHECK(given.checkpoint_every == 9);
  CHECK(given.threads == 2);
  CHECK(given.resume);
  CHECK(given.record == "r");

  CHECK(given.batch == 8);
  CHECK(given.seed == 3);
  const auto training = trainer_options(given);
  CHECK(training.epochs == 2);
  CHECK(training.early_stopping.patience == 7);
  CHECK(training.part_size == 4);
  CHECK(training.warmup == 0.5);
  CHECK(optimizer(given, given.learning_rate).config().learning_rate == 0.5);
  CHECK(optimizer(given, given.learning_rate).config().weight_decay == 0);

  const auto config = peft_config(given, "SEQ_CLS");
  CHECK(config.r == 4);
  CHECK(config.lora_alpha == 5);
  CHECK(config.lora_dropout == 0.25);
  CHECK(config.target_modules ==
        lora::peft::ModuleNames(std::vector<std::string>{"key", "output.dense"}));
  CHECK(config.task_type == "SEQ_CLS");
  CHECK(config.base_model_name_or_path == "m");
  CHECK(peft_config(parse("--target-modules all-linear"), "SEQ_CLS").target_modules ==
        lora::peft::ModuleNames("all-linear"));
}

TEST_CASE("BERT options outside their range are refused") {
  for (const char* bad :
       {"--rank 0", "--rank x", "--epochs 0", "--batch 0", "--dropout 1", "--base-dropout -0.1",
        "--learning-rate -1", "--threads 0", "--max-length 2", "--patience 0", "--warmup 1.5",
        "--part-size 0", "--checkpoint-every 0", "--nonsense 1"})
    CHECK_THROWS_AS(parse(bad), CLI::ParseError);
}

TEST_CASE("BERT options that are no number are refused by name and value") {
  for (const char* option :
       {"--alpha", "--dropout", "--base-dropout", "--learning-rate", "--weight-decay", "--warmup"})
    for (const char* value : {"nan", "inf", "-inf", "x"})
      lora::test::check_throws<CLI::ParseError>(
          [&] { parse(std::string(option) + " " + value); },
          std::string(option) + ": Value " + value + " not in range");
}

TEST_CASE("who has no model is told where to get one") {
  using lora::test::check_throws;
  check_throws<lora::FileError>([] { require_model(""); }, "get_model.sh");
  check_throws<lora::FileError>([] { require_model("/no/such/folder"); }, "huggingface.co");
}

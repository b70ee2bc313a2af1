#include "examples/support/weight_starts.hpp"

#include <fstream>
#include <sstream>
#include <string>

#include "examples/text_generation/load_adapted.hpp"
#include "examples/text_generation/tiny_model.hpp"
#include "examples/text_generation/train.hpp"
#include "support/catch.hpp"
#include "support/temporary_directory.hpp"
#include "support/throws.hpp"

using namespace textgen;
using lora::test::check_throws;

TEST_CASE("adapters that began with a part of the weights are saved for the weights as they were") {
  using Packed = LlamaFamily<lora::PackedWeight<float>>;
  const lora::test::TemporaryDirectory folder;
  lora::test::write_tiny_llama(folder / "m.gguf");
  std::ofstream file(folder / "t.txt");
  for (int i = 0; i < 40; ++i) file << "the same words again and again; ";
  file.close();
  Common common;
  common.model = (folder / "m.gguf").string();
  TrainOptions options;
  options.out = (folder / "out").string();
  options.rank = 2;
  options.max_length = 48;
  options.learning_rate = 0.02;
  options.epochs = 3;
  options.init = "olora";
  check_throws<lora::ConfigError>(
      [&] { static_cast<void>(load_to_train<Packed>(common, options)); }, "it needs packed");
  common.weights = "packed";
  auto language = load_to_train<Packed>(common, options);
  const Parts parts =
      split(read_samples((folder / "t.txt").string(), language, false, 48), options.held_out);
  const double before = perplexity(language.model, parts.held_out);
  std::ostringstream out;
  textgen::train(common, options, language, parts, out, out, false);
  const double after = perplexity(language.model, parts.held_out);
  CHECK(after < 0.9 * before);

  const auto config = lora::peft::read_peft_config(peft_folder(options));
  CHECK(config.r == 4);
  CHECK(!changes_base(lora::peft::start_of(config.init_lora_weights)));
  for (const auto& adapter : {peft_folder(options), gguf_file(options)}) {
    common.adapter = adapter.string();
    auto again = load_adapted<Packed>(common);
    CHECK(perplexity(again.model, parts.held_out) == Approx(after).epsilon(1e-4));
    CHECK(base_perplexity(again.model, parts.held_out) == Approx(before).epsilon(1e-6));
  }
}

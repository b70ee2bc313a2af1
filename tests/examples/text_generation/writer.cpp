#include "examples/text_generation/writer.hpp"

#include <string>
#include <vector>

#include "examples/text_generation/tiny_model.hpp"
#include "support/catch.hpp"
#include "support/temporary_directory.hpp"

using namespace textgen;

TEST_CASE("what the options say counts before the model's settings") {
  const lora::test::TemporaryDirectory folder;
  lora::test::write_tiny_llama(folder / "m.gguf");
  const LanguageModel<Llama> language((folder / "m.gguf").string(), {});
  CHECK(!generation_config({}, language).sampling.do_sample);
  CHECK(generation_config({}, language).end_tokens == std::vector<int>{258});
  const auto drawn = generation_config({.top_p = 0.5, .seed = 7}, language);
  CHECK(drawn.sampling.do_sample);
  CHECK(drawn.sampling.top_p == 0.5);
  CHECK(drawn.sampling.seed == 7);
  CHECK(!generation_config({.greedy = true, .top_p = 0.5}, language).sampling.do_sample);
}

TEST_CASE("an answer is shown as it comes, up to a stop, and is that of all together") {
  const lora::test::TemporaryDirectory folder;
  lora::test::write_tiny_llama(folder / "m.gguf");
  const LanguageModel<Llama> language((folder / "m.gguf").string(), {});
  WriteOptions options{.prompts = {"hello", "you"}, .max_new_tokens = 12, .plain = true};
  const auto all = answers(language, options);
  REQUIRE(all.size() == 2);
  std::string text;
  const auto show = [&](std::string_view piece) { text += piece; };
  CHECK(write(language, language.prompt_tokens("hello", true), options, show) == all[0]);
  CHECK(text == language.tokenizer.decode(all[0]));
  REQUIRE(text.size() > 4);
  options.stop = {text.substr(2, 2)};
  const std::string whole = text;
  text.clear();
  static_cast<void>(write(language, language.prompt_tokens("hello", true), options, show));
  CHECK(text == whole.substr(0, whole.find(options.stop[0])));
}

#include <lora/models/common/generation_settings.hpp>

#include <fstream>
#include <string>
#include <vector>

#include <lora/io/gguf/gguf_writer.hpp>

#include "support/catch.hpp"
#include "support/temporary_directory.hpp"
#include "support/throws.hpp"

using namespace lora;
using namespace lora::test;
using models::read_generation_settings;

namespace {

void write_settings(const TemporaryDirectory& directory, const char* name,
                    const std::string& text) {
  std::ofstream(directory.path() / name) << text;
}

void check_settings_fail(const std::string& json, const std::string& message) {
  const TemporaryDirectory directory;
  write_settings(directory, "generation_config.json", json);
  CAPTURE(json);
  check_throws<FileError>([&] { static_cast<void>(read_generation_settings(directory.path())); },
                          message);
}

}  // namespace

TEST_CASE("what generation_config.json says has transformers' defaults") {
  const TemporaryDirectory directory;
  write_settings(directory, "config.json", R"({"eos_token_id": 7})");
  CHECK(read_generation_settings(directory.path()).end_tokens == std::vector<int>{7});
  CHECK(!read_generation_settings(directory.path()).sampling.do_sample);

  write_settings(directory, "generation_config.json",
                 R"({"eos_token_id": [3, 5], "do_sample": true, "temperature": 0.6, "top_p": 0.9,
                     "repetition_penalty": 1.1, "bos_token_id": 1, "transformers_version": "5"})");
  const auto config = read_generation_settings(directory.path());
  CHECK(config.end_tokens == std::vector<int>{3, 5});
  CHECK(config.sampling.do_sample);
  CHECK(config.sampling.temperature == 0.6);
  CHECK(config.sampling.top_p == 0.9);
  CHECK(config.sampling.repetition_penalty == 1.1);
  CHECK(config.sampling.top_k == 50);

  write_settings(directory, "generation_config.json", R"({"do_sample": true, "top_k": 0})");
  CHECK(read_generation_settings(directory.path()).sampling.top_k == 0);
  write_settings(directory, "generation_config.json", R"({"do_sample": true, "top_k": null})");
  CHECK(read_generation_settings(directory.path()).sampling.top_k == 0);
  // A greedy model's settings of sampling count for nothing.
  write_settings(directory, "generation_config.json", R"({"temperature": 0, "top_p": 0.5})");
  CHECK(read_generation_settings(directory.path()).sampling.temperature == 1);
  CHECK(read_generation_settings(directory.path()).sampling.top_p == 1);
}

TEST_CASE("a generation_config.json that asks for what is not built is refused by name") {
  check_settings_fail(R"({"num_beams": 4})", "num_beams is 4, expected 1: another is not built");
  check_settings_fail(R"({"no_repeat_ngram_size": 3})", "no_repeat_ngram_size is 3");
  check_settings_fail(R"({"do_sample": 1})", "do_sample is 1, expected true or false");
  check_settings_fail(R"({"do_sample": true, "temperature": 0})", "temperature is 0");
  check_settings_fail(R"({"do_sample": true, "top_p": 2})", "top_p is 2");
  check_settings_fail(R"({"eos_token_id": -2})", "eos_token_id is -2");
  check_settings_fail(R"({"eos_token_id": [1, "a"]})", "expected a token or a list of tokens");
}

TEST_CASE("a GGUF's end tokens are those of its keys, each once") {
  const TemporaryDirectory directory;
  io::GgufWriter writer;
  writer.set("general.architecture", "llama");
  writer.set("tokenizer.ggml.eos_token_id", std::uint32_t{2});
  writer.set("tokenizer.ggml.eot_token_id", std::uint32_t{2});
  writer.set("tokenizer.ggml.eom_token_id", std::uint32_t{9});
  writer.write(directory.path() / "model.gguf");
  CHECK(read_generation_settings(directory.path() / "model.gguf").end_tokens ==
        std::vector<int>{2, 9});
}

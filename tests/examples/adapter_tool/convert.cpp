#include "examples/adapter_tool/convert.hpp"

#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>
#include <utility>

#include "examples/adapter_tool/commands.hpp"
#include "peft/small_adapter.hpp"
#include "support/catch.hpp"
#include "support/temporary_directory.hpp"
#include "support/throws.hpp"
#include "support/tolerance.hpp"

using namespace adaptertool;
using namespace lora::test;

namespace {

const std::filesystem::path golden = LORA_GOLDEN_DIR;

std::string convert(const std::filesystem::path& adapter, const std::filesystem::path& base,
                    const std::filesystem::path& out, const std::string& dtype = "F32") {
  Options options;
  options.adapters = {adapter.string()};
  options.base = base.string();
  options.out = out.string();
  options.dtype = dtype;
  std::ostringstream text;
  const bool done = run_convert(options, text);
  CHECK(done);
  return text.str();
}

}  // namespace

// rsLoRA, patterns of rank and alpha, heads that lie otherwise, none of them; GPT-2's layers.
TEST_CASE("PEFT's adapters come back from llama.cpp's form with the numbers that they add") {
  const TemporaryDirectory directory;
  for (const std::string name : {"llama/tied", "llama/qwen2", "llama/qwen3", "llama/mistral",
                                 "llama/head_dim", "gpt2/gpt2"}) {
    CAPTURE(name);
    const auto base = golden / name;
    const std::string last = base.filename().string();
    const auto file = directory / (last + ".gguf");
    CHECK(convert(base / "adapter", base, file).find("for llama.cpp") != std::string::npos);
    CHECK(convert(file, base, directory / last).find("for PEFT") != std::string::npos);
    const auto before = lora::peft::read_adapter<float>(base / "adapter");
    const auto after = lora::peft::read_adapter<float>(directory / last);
    REQUIRE(after.modules.size() == before.modules.size());
    for (const auto& [module, factors] : before.modules)
      CHECK(largest_difference(after.modules.at(module).delta(), factors.delta()) < 1e-5);
    CHECK(after.config.base_model_name_or_path == base.string());
    CHECK((after.config.other.at("fan_in_fan_out") == "true") == name.starts_with("gpt2"));

    Options look;
    look.adapters = {file.string()};
    std::ostringstream text;
    CHECK(run_inspect(look, text));
    CAPTURE(text.str());
    CHECK(text.str().find("modules      " + std::to_string(before.modules.size()) + " with ") !=
          std::string::npos);
    CHECK(text.str().find("\nattn_") != std::string::npos);
  }
}

TEST_CASE(
    "a base in GGUF's form names the same tensors, and numbers are stored as they are to be") {
  const TemporaryDirectory directory;
  const auto adapter = golden / "llama" / "tied" / "adapter";
  convert(adapter, golden / "llama" / "tied", directory / "a.gguf");
  convert(adapter, golden / "gguf" / "tied.gguf", directory / "b.gguf");
  convert(adapter, golden / "gguf" / "tied.gguf", directory / "half.gguf", "F16");
  CHECK(std::filesystem::file_size(directory / "half.gguf") <
        std::filesystem::file_size(directory / "a.gguf"));
  const auto read = [&](const char* name) { return read_gguf_values(directory / name); };
  for (const auto& [module, factors] : read("a.gguf").modules)
    CHECK(read("b.gguf").modules.at(module).b.value == factors.b.value);
}

TEST_CASE("what is converted for another model or into another place is refused by name") {
  const TemporaryDirectory directory;
  const auto llama = golden / "llama" / "tied";
  check_throws<lora::ConfigError>(
      [&] { convert(llama / "adapter", golden / "gpt2" / "gpt2", directory / "a.gguf"); },
      "which is no linear layer of the model");
  check_throws<lora::ConfigError>([&] { convert(llama / "adapter", llama, directory / "a"); },
                                  "expected a name that ends in .gguf");
  convert(llama / "adapter", llama, directory / "a.gguf");
  check_throws<lora::ConfigError>([&] { convert(directory / "a.gguf", llama, "b.gguf"); },
                                  "expected a folder");
  check_throws<lora::FileError>(
      [&] { convert(directory / "a.gguf", golden / "gpt2" / "gpt2", directory / "b"); },
      "general.architecture is \"llama\", expected gpt2");
  check_throws<lora::FileError>(
      [&] { convert(directory / "nothing.gguf", llama, directory / "b"); }, "nothing.gguf");
  CHECK(!std::filesystem::exists(directory / "b"));
}

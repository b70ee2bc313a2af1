#include <lora/peft/peft_config_file.hpp>

#include <lora/io/safetensors/safetensors_writer.hpp>

#include "support/temporary_directory.hpp"
#include "support/throws.hpp"
#include "support/whole_file.hpp"

using namespace lora;
using namespace lora::peft;
using namespace lora::test;

namespace {

// The targets that are read of a directory with this setting and factors of these modules.
ModuleNames targets(const std::string& settings, const std::vector<std::string>& modules) {
  const TemporaryDirectory directory;
  write_whole(directory / adapter_config_file, "{\"peft_type\": \"LORA\", " + settings + "}");
  std::vector<io::Tensor> tensors;
  for (const std::string& module : modules)
    for (const char* factor : {".lora_A.weight", ".lora_B.weight"})
      tensors.push_back(io::make_tensor(adapter_key(module + factor), Matrix<float>::Ones(1, 1)));
  if (!modules.empty()) io::write_safetensors(directory / adapter_weights_file, tensors);
  return read_peft_config(directory.path()).target_modules;
}

using Names = std::vector<std::string>;

}  // namespace

TEST_CASE("targets that select all that has tensors are kept") {
  CHECK(targets(R"("target_modules": ["q", "v"])", {"m.q", "m.v"}) == ModuleNames(Names{"q", "v"}));
  CHECK(targets(R"("target_modules": ".*")", {"m.q"}) == ModuleNames(std::string(".*")));
  CHECK(targets(R"("target_modules": ["q", "v", "k"])", {"m.q"}) ==
        ModuleNames(Names{"q", "v", "k"}));
  CHECK(targets(R"("target_modules": ["q"])", {}) == ModuleNames(Names{"q"}));
}

TEST_CASE("targets that leave out what has tensors become the list of it") {
  CHECK(targets(R"("target_modules": ["q"])", {"m.q", "m.v"}) == ModuleNames(Names{"m.q", "m.v"}));
  CHECK(targets(R"("target_modules": "m.q")", {"m.q", "m.v"}) == ModuleNames(Names{"m.q", "m.v"}));
  CHECK(targets(R"("target_modules": ["q", "v"], "exclude_modules": ["v"])", {"m.q", "m.v"}) ==
        ModuleNames(Names{"m.q", "m.v"}));
  CHECK(targets(R"("target_modules": [])", {"m.q"}) == ModuleNames(Names{"m.q"}));
}

TEST_CASE("the parts of a module that PEFT wraps as a whole are selected with it") {
  const PeftConfig config =
      read_peft_config(std::filesystem::path(LORA_GOLDEN_DIR) / "attention" / "adapter");
  CHECK(std::get<std::vector<std::string>>(config.target_modules) ==
        std::vector<std::string>{"attn"});
}

TEST_CASE("what only a model can say is left to it") {
  CHECK(targets(R"("target_modules": null)", {"m.q"}) == ModuleNames());
  CHECK(targets(R"("target_modules": "All-Linear")", {"m.q"}) ==
        ModuleNames(std::string("All-Linear")));
}

TEST_CASE("settings and what is opened beside them are of one save, or are refused") {
  const TemporaryDirectory directory;
  const auto path = directory / "f";
  int opened = 0;
  write_whole(path, "old");
  // Another program saves once, meanwhile.
  const auto text = peft::detail::open_beside(path, [&](const std::string& now) {
    if (++opened == 1) write_whole(path, "new");
    return now + "!";
  });
  CHECK(text == "new!");
  CHECK(opened == 2);
  // What does not go with the old settings is no error where there are new ones.
  const auto again = peft::detail::open_beside(path, [&](const std::string& now) {
    if (now == "newer") return now;
    write_whole(path, "newer");
    throw FileError("a rank is not that of the settings");
  });
  CHECK(again == "newer");
  check_throws<FileError>(
      [&] {
        static_cast<void>(peft::detail::open_beside(
            path, [](const std::string&) -> int { throw FileError("a rank is not"); }));
      },
      "a rank is not");
  check_throws<FileError>(
      [&] {
        static_cast<void>(peft::detail::open_beside(path, [&](const std::string& now) {
          write_whole(path, now + "+");
          return now;
        }));
      },
      path.string() + ": changed each of 7 times while the files beside it were opened");
}

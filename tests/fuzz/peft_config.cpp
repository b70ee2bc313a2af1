// Reads any bytes as an adapter_config.json, asks it about some modules, lets it choose among those
// of a BERT, and writes it again: a config that was read must be written as text that reads as the
// same config, and chooses the same.
#include <cstddef>
#include <cstdint>
#include <cstdlib>

#include <lora/io/module_selection.hpp>
#include <lora/io/peft_config.hpp>
#include <lora/models/bert_modules.hpp>

namespace {

using namespace lora;

void require(bool holds) {
  if (!holds) std::abort();
}

// Whether a path of modules leads from `block` to `name`, or it is `block` itself.
bool is_inside(const std::string& name, const std::string& block) {
  return name == block || block.empty() || name.starts_with(block + ".");
}

void choose(io::PeftConfig config) {
  static const std::vector<io::ModuleName> modules =
      models::bert_modules({.num_hidden_layers = 1}, {.prefix = "bert.", .classifier = true});
  io::ModuleSelection chosen;
  try {
    chosen = io::select_modules(config, modules, "classifier");
  } catch (const ConfigError&) {
    return;  // nothing chosen, or what cannot be adapted
  }
  require(!chosen.adapted.empty());
  validate(config.layer_config(chosen.adapted.front()), "fuzz");
  for (const std::string& name : chosen.adapted)
    for (const std::string& whole : chosen.saved) require(!is_inside(name, whole));
  io::PeftConfig again = io::parse_peft_config(io::peft_config_text(config), "chosen");
  const io::ModuleSelection repeated = io::select_modules(again, modules, "classifier");
  require(repeated.adapted == chosen.adapted && repeated.saved == chosen.saved);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  io::PeftConfig config;
  try {
    config = io::parse_peft_config({reinterpret_cast<const char*>(data), size}, "fuzz");
  } catch (const FileError&) {
    return 0;  // what a file deserves that is not one
  }
  for (const char* name : {"model.layers.1.self_attn.q_proj", "classifier", "a.b.2.c", ""})
    validate(config.layer_config(name), "fuzz");
  const std::string text = io::peft_config_text(config);
  require(io::peft_config_text(io::parse_peft_config(text, "written")) == text);
  choose(std::move(config));
  return 0;
}

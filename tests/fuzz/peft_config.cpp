// Reads any bytes as an adapter_config.json, asks it about some modules, lets it choose among those
// of a BERT, and writes it again: a config that was read must be written as text that reads as the
// same config, and chooses the same.
#include <cstddef>
#include <cstdint>
#include <cstdlib>

#include <lora/models/bert/bert_outline.hpp>
#include <lora/peft/module_selection.hpp>
#include <lora/peft/peft_config_parser.hpp>
#include <lora/peft/peft_config_text.hpp>

namespace {

using namespace lora;

void require(bool holds) {
  if (!holds) std::abort();
}

// Whether a path of modules leads from `block` to `name`, or it is `block` itself.
bool is_inside(const std::string& name, const std::string& block) {
  return name == block || block.empty() || name.starts_with(block + ".");
}

void choose(peft::PeftConfig config) {
  static const std::vector<peft::ModuleName> modules =
      models::bert_outline({.num_hidden_layers = 1}, {.prefix = "bert.", .classifier = true})
          .modules;
  peft::ModuleSelection chosen;
  try {
    chosen = peft::select_modules(config, modules, "classifier");
  } catch (const ConfigError&) {
    return;  // nothing chosen, or what cannot be adapted
  }
  require(!chosen.adapted.empty());
  validate(config.layer_config(chosen.adapted.front()), "fuzz");
  for (const std::string& name : chosen.adapted)
    for (const std::string& whole : chosen.saved) require(!is_inside(name, whole));
  peft::PeftConfig again = peft::parse_peft_config(peft::peft_config_text(config), "chosen");
  const peft::ModuleSelection repeated = peft::select_modules(again, modules, "classifier");
  require(repeated.adapted == chosen.adapted && repeated.saved == chosen.saved);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  peft::PeftConfig config;
  try {
    config = peft::parse_peft_config({reinterpret_cast<const char*>(data), size}, "fuzz");
  } catch (const FileError&) {
    return 0;  // what a file deserves that is not one
  }
  for (const char* name : {"model.layers.1.self_attn.q_proj", "classifier", "a.b.2.c", ""})
    validate(config.layer_config(name), "fuzz");
  const std::string text = peft::peft_config_text(config);
  require(peft::peft_config_text(peft::parse_peft_config(text, "written")) == text);
  choose(std::move(config));
  return 0;
}

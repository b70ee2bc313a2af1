// Reads any bytes as an adapter_config.json, asks it about some modules, and writes it again: a
// config that was read must be written as text that reads as the same config.
#include <cstddef>
#include <cstdint>
#include <cstdlib>

#include <lora/io/module_selection.hpp>
#include <lora/io/peft_config.hpp>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace lora;
  io::PeftConfig config;
  try {
    config = io::parse_peft_config({reinterpret_cast<const char*>(data), size}, "fuzz");
  } catch (const FileError&) {
    return 0;  // what a file deserves that is not one
  }
  try {
    for (const char* name : {"model.layers.1.self_attn.q_proj", "classifier", "a.b.2.c", ""}) {
      validate(config.layer_config(name), "fuzz");
      static_cast<void>(io::is_targeted(config, name));
    }
  } catch (const ConfigError&) {
    // A pattern that is fine by itself may be too long inside another.
  }
  const std::string text = io::peft_config_text(config);
  if (io::peft_config_text(io::parse_peft_config(text, "written")) != text) std::abort();
  return 0;
}

#pragma once

#include <filesystem>
#include <lora/core/finite.hpp>
#include <lora/models/common/model_type.hpp>
#include <lora/models/common/save_gguf_values.hpp>
#include <lora/models/gpt2/gpt2_config_parser.hpp>
#include <lora/models/gpt2/gpt2_gguf_adapter.hpp>
#include <lora/models/llama/llama_config_parser.hpp>
#include <lora/models/llama/llama_gguf_adapter.hpp>
#include <lora/peft/values_writer.hpp>
#include <map>
#include <ostream>
#include <string>

#include "file_type.hpp"
#include "options.hpp"

namespace adaptertool {

namespace detail {

// How adapters in llama.cpp's form name what they adapt of the model at `base`.
[[nodiscard]] inline lora::models::GgufAdapterFormat format_for(const std::filesystem::path& base) {
  using namespace lora::models;
  const bool is_gpt2 = read_model_type(base) == "gpt2";
  if (lora::io::is_gguf(base)) {
    const lora::io::GgufReader file(base);
    return is_gpt2 ? gguf_adapter_format(read_gpt2_config(file))
                   : gguf_adapter_format(read_llama_config(file));
  }
  return is_gpt2 ? gguf_adapter_format(read_gpt2_config(base))
                 : gguf_adapter_format(read_llama_config(base));
}

// One that takes any file as it is: by llama.cpp's names, rows in llama.cpp's order.
[[nodiscard]] inline lora::models::GgufAdapterFormat format_of(const std::filesystem::path& path) {
  const lora::io::GgufReader file(path);
  lora::models::GgufAdapterFormat format;
  format.architecture = file.metadata().text("general.architecture");
  for (const auto& [name, tensor] : file.tensors())
    for (const std::string end : {".weight.lora_a", ".weight.lora_b"})
      if (name.ends_with(end)) {
        const std::string module = name.substr(0, name.size() - end.size());
        format.places[module] = {module + ".weight"};
      }
  return format;
}

}  // namespace detail

/// Reads a GGUF adapter without its model, by llama.cpp's names. Throws FileError.
[[nodiscard]] inline lora::peft::AdapterValues<float> read_gguf_values(
    const std::filesystem::path& path) {
  return lora::models::GgufAdapter(path, detail::format_of(path)).values();
}

/// Writes a folder in PEFT's layout as a GGUF file for llama.cpp, or such a file as a folder, for
/// the model options.base. Returns true; throws FileError and, for what the other form cannot hold,
/// ConfigError.
inline bool run_convert(const Options& options, std::ostream& out) {
  const std::filesystem::path adapter = options.adapters.at(0), target = options.out;
  const auto format = detail::format_for(options.base);
  if (!lora::io::is_gguf(adapter)) {
    if (!lora::io::is_gguf(target))
      throw lora::ConfigError("--out is " + lora::in_quotes(options.out) +
                              ", expected a name that ends in .gguf");
    const auto values = lora::peft::read_adapter<float>(adapter);
    lora::models::save_gguf_adapter(target, values, format, detail::gguf_type_of(options));
    out << options.out << ": " << values.modules.size() << " modules, for llama.cpp\n";
    return true;
  }
  if (lora::io::is_gguf(target))
    throw lora::ConfigError("--out is " + lora::in_quotes(options.out) + ", expected a folder");
  const lora::models::GgufAdapter file(adapter, format);
  auto values = file.values();
  for (const auto& [name, factors] : values.modules)
    if (!lora::all_finite<float>(factors.a.value) || !lora::all_finite<float>(factors.b.value))
      throw lora::FileError(lora::message(options.adapters.at(0), ": ", lora::in_quotes(name),
                                          " has numbers that are not finite"));
  if (format.architecture == "gpt2") values.config.other["fan_in_fan_out"] = "true";
  if (!lora::io::is_gguf(options.base)) values.config.base_model_name_or_path = options.base;
  lora::peft::save_adapter(target, values, detail::dtype_of(options));
  out << options.out << ": " << values.modules.size() << " modules, for PEFT\n";
  for (const std::string& name : file.skipped())
    out << "left out, as llama.cpp does: " << lora::printable(name) << '\n';
  return true;
}

}  // namespace adaptertool

#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "lora/adapters/approximate_update.hpp"
#include "lora/io/convert.hpp"
#include "lora/io/model_reader.hpp"
#include "lora/io/same_numbers.hpp"
#include "lora/peft/describe_values.hpp"
#include "lora/peft/weight_layout.hpp"

namespace lora::peft {

/// The settings of extract_adapter.
struct ExtractOptions {
  RankChoice choice = {};   ///< of each module's update
  bool embeddings = false;  ///< extracts embeddings too, which are left out otherwise
  /// Whether the weights of linear modules other than lm_head are (in, out); when left out, what
  /// has_transposed_weights says of the base.
  std::optional<bool> fan_in_fan_out = {};
  std::string prefix = {};  ///< put before modules' names: "transformer." for GPT-2's files
  SvdOptions svd = {};
  /// Called with each tensor before it is looked at: its name, its place, and how many there are.
  std::function<void(const std::string& name, std::size_t place, std::size_t count)> progress = {};
};

/// What an adapter has of the difference between one module's weights.
struct ExtractedModule {
  Index rank = 0;
  double norm = 0;   ///< Frobenius norm of W_tuned - W_base
  double error = 0;  ///< that of what the adapter lacks of it

  /// Returns error / norm; 0 for a difference of zero.
  [[nodiscard]] double relative_error() const { return norm > 0 ? error / norm : 0; }
};

/// An adapter that was extracted, and what it does and does not have of the difference.
template <class T>
struct ExtractedAdapter {
  AdapterValues<T> adapter;
  std::map<std::string, ExtractedModule> modules;
  std::map<std::string, std::string> left_out;  ///< tensors that differ, each with the reason
};

namespace detail {

/// Tells whether a module's name is that of an embedding, in the models of transformers.
[[nodiscard]] inline bool is_embedding_name(std::string_view module) {
  const std::string_view last = module.substr(module.rfind('.') + 1);
  return last.find("embed") != std::string_view::npos || last == "wte" || last == "wpe" ||
         last == "shared";
}

/// Returns the name of the module whose weight the tensor is, or nothing.
[[nodiscard]] inline std::string module_of_weight(const std::string& tensor) {
  constexpr std::string_view end = ".weight";
  return tensor.ends_with(end) ? tensor.substr(0, tensor.size() - end.size()) : std::string();
}

/// Says why a tensor that differs is no part of an adapter, or nothing where it is one.
[[nodiscard]] inline std::string reason_to_leave(const std::string& tensor,
                                                 const io::TensorView& view,
                                                 const ExtractOptions& options) {
  const std::string module = module_of_weight(tensor);
  if (!io::is_floating(view.dtype)) return "not of a floating-point type";
  if (view.shape.size() == 1) return "a vector, as biases and norms have";
  if (module.empty()) return "not the weight of a module";
  if (view.shape.size() != 2) return message("of ", view.shape.size(), " dimensions");
  if (!options.embeddings && is_embedding_name(module)) return "an embedding";
  return {};
}

/// Returns W_tuned - W_base as (out, in), which an adapter's B A is.
template <class T>
[[nodiscard]] Matrix<T> difference(io::ModelReader& base, io::ModelReader& tuned,
                                   const std::string& name, bool transposed) {
  Matrix<T> weight = tuned.read<T>(name);
  weight -= base.read<T>(name);
  if (transposed) weight = Matrix<T>(weight.transpose());
  return weight;
}

}  // namespace detail

/// Extracts an adapter from a model and one that was tuned from it: for each linear weight that
/// differs, B A close to W_tuned - W_base (approximate_update) with a scaling of 1. The files stay
/// mapped and one layer is in memory at a time. What else differs is left out and listed with the
/// reason: vectors (biases, norms), embeddings unless options.embeddings (by their names: "embed",
/// wte, wpe, shared), tensors of other dimensions, numbers that are not floating (quantised
/// weights), and what only one of the models has.
///
/// Throws FileError where a tensor's shapes differ, for a quantised weight whose tuned one is
/// floating, and for whatever is wrong with the files; ConfigError where no linear weight differs,
/// for options out of range and for numbers that are not finite.
template <class T>
[[nodiscard]] ExtractedAdapter<T> extract_adapter(io::ModelReader& base, io::ModelReader& tuned,
                                                  const ExtractOptions& options) {
  constexpr const char* where = "extract_adapter";
  validate(options.choice, where);
  validate(options.svd, where);
  std::set<std::string> names;
  for (const io::ModelReader* reader : {&base, &tuned})
    for (const auto& [name, file] : reader->tensors()) names.insert(name);

  // Before the first decomposition, which takes its time.
  for (const std::string& name : names) {
    if (!base.contains(name) || !tuned.contains(name)) continue;
    const io::Shape &first = base.tensor(name).shape, &second = tuned.tensor(name).shape;
    if (first != second)
      throw FileError(message(tuned.directory().string(), ": ", in_quotes(name), " is of shape ",
                              io::shape_text(second), ", and in ", base.directory().string(), " ",
                              io::shape_text(first), ": the one was not tuned from the other"));
  }

  const bool transposed = options.fan_in_fan_out.value_or(has_transposed_weights(base.directory()));
  ExtractedAdapter<T> result;
  std::size_t place = 0;
  for (const std::string& name : names) {
    if (options.progress) options.progress(name, place++, names.size());
    if (!base.contains(name) || !tuned.contains(name)) {
      result.left_out.emplace(
          name, base.contains(name) ? "the tuned model lacks it" : "the base model lacks it");
      continue;
    }
    const io::TensorView& view = tuned.tensor(name);
    if (io::same_numbers(view, base.tensor(name))) continue;
    if (std::string reason = detail::reason_to_leave(name, view, options); !reason.empty()) {
      result.left_out.emplace(name, std::move(reason));
      continue;
    }
    const std::string file_module = detail::module_of_weight(name);
    const bool is_embedding = detail::is_embedding_name(file_module);
    const std::string module = options.prefix + file_module;
    ResizedFactors<T> made;
    try {
      made = approximate_update<T>(
          detail::difference<T>(base, tuned, name,
                                is_embedding || (transposed && !file_module.ends_with("lm_head"))),
          options.choice, options.svd);
    } catch (const ConfigError& error) {
      throw ConfigError(message(where, ": ", in_quotes(name), ": ", error.what()));
    }
    base.release_pages();
    tuned.release_pages();
    const io::Shape a_shape{0, made.factors.a.cols()}, b_shape{made.factors.b.rows(), 0};
    LoRAFactors<T> factors{{},
                           {std::move(made.factors.a), a_shape},
                           {std::move(made.factors.b), b_shape},
                           is_embedding};
    factors.set_rank(factors.a.value.rows());
    result.modules.emplace(module, ExtractedModule{factors.config.rank, made.norm, made.error});
    result.adapter.modules.emplace(module, std::move(factors));
  }
  if (result.modules.empty())
    throw ConfigError(message(where, ": no linear weight of ", tuned.directory().string(),
                              " differs from ", base.directory().string(), "; ",
                              result.left_out.size(), " other tensors do"));
  std::vector<std::string> targets;
  for (const auto& [name, report] : result.modules) targets.push_back(name);
  PeftConfig& config = result.adapter.config;
  config.target_modules = std::move(targets);
  config.base_model_name_or_path = base.directory().string();
  if (transposed) config.other["fan_in_fan_out"] = "true";
  describe_values(result.adapter);
  return result;
}

}  // namespace lora::peft

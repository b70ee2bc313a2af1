#pragma once

#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "lora/core/matrix.hpp"
#include "lora/core/printable.hpp"
#include "lora/layers/lora_config.hpp"
#include "lora/peft/adapter_weights.hpp"
#include "lora/peft/peft_config_file.hpp"

namespace lora::peft {

/// A tensor of a file: its elements, (first, all other) dimensions as a matrix or (1, n), and the
/// shape that it has there.
template <class T>
struct StoredTensor {
  Matrix<T> value;
  io::Shape shape;
};

/// The factors of one adapted module, whatever its kind, and their settings.
template <class T>
struct LoRAFactors {
  LoRAConfig config;
  StoredTensor<T> a;          ///< (rank, in), or (rank, vocabulary) of an embedding
  StoredTensor<T> b;          ///< (out, rank)
  bool is_embedding = false;  ///< stored as lora_embedding_A and lora_embedding_B
  std::optional<StoredTensor<T>> magnitude = {};  ///< DoRA's, (out) or a convolution's shape
  std::optional<StoredTensor<T>> b_bias = {};     ///< of lora_bias, (out)

  /// Sets the settings and shapes to those of A and B, which have `rank` rows and columns by now
  /// and are the whole update: alpha = rank without use_rslora makes the scaling 1.
  void set_rank(Index rank) {
    config.rank = rank;
    config.alpha = static_cast<double>(rank);
    config.use_rslora = false;
    a.shape.at(0) = rank;
    b.shape.at(1) = rank;
  }

  /// Computes scaling * B A (out, in), what the adapter adds to the weight; with DoRA what it adds
  /// before the rows of the sum get the lengths `magnitude`. Throws ShapeError where the factors
  /// are no matrices, as a convolution's.
  [[nodiscard]] Matrix<T> delta() const {
    require_shape(a.value, config.rank, a.value.cols(), "LoRAFactors::delta", "A");
    require_shape(b.value, b.value.rows(), config.rank, "LoRAFactors::delta", "B");
    if (a.shape.size() != 2 || b.shape.size() != 2)
      throw ShapeError("LoRAFactors::delta: the factors are of shapes " + io::shape_text(a.shape) +
                       " and " + io::shape_text(b.shape) + ", expected two dimensions");
    return static_cast<T>(config.scaling()) * (b.value * a.value);
  }
};

/// An adapter as values, without a layer or a model.
template <class T>
struct AdapterValues {
  PeftConfig config;
  std::map<std::string, LoRAFactors<T>> modules;  ///< by the adapted module's name
  std::map<std::string, StoredTensor<T>> others;  ///< biases, modules stored whole ..., by name
};

/// The settings of read_adapter.
struct AdapterReadOptions {
  bool allow_not_finite = false;  ///< reads NaN and infinity, which are refused otherwise
  /// Reads factors that belong to a changed base too ("pissa", "olora"): beside W itself they add a
  /// part of it a second time.
  bool allow_changed_base = false;
};

/// Reads an adapter that PEFT or save_adapter wrote; F64, F32, F16 and BF16 are converted to T.
/// Throws FileError for whatever load_adapter refuses that can be seen without a model, such as a
/// factor without the other, a rank that is not that of adapter_config.json, or missing magnitudes
/// of DoRA, and for an adapter of a changed base unless the options allow it.
template <class T>
[[nodiscard]] AdapterValues<T> read_adapter(const std::filesystem::path& directory,
                                            const AdapterReadOptions& options = {}) {
  detail::OpenAdapter files = detail::open_adapter(directory);
  AdapterValues<T> adapter{std::move(files.config), {}, {}};
  AdapterWeights& weights = files.weights;
  if (const LoRAInit init = start_of(adapter.config.init_lora_weights);
      changes_base(init) && !options.allow_changed_base)
    throw FileError(message(weights.path().string(), ": the adapter began with ", name_of(init),
                            ", so it belongs to a changed base: a layer of that start can load it, "
                            "or allow_changed_base reads its factors as they are"));
  const auto read = [&](const std::string& name) {
    const io::Shape shape = weights.shape(name);
    return StoredTensor<T>{weights.read<T>(name, shape, options.allow_not_finite), shape};
  };
  constexpr std::pair<std::string_view, std::string_view> kinds[] = {
      {".lora_A.weight", ".lora_B.weight"}, {".lora_embedding_A", ".lora_embedding_B"}};
  for (const std::string& name : weights.names()) {
    // Magnitudes are read with their factors; those that nothing asks for have no place.
    bool is_factor = name.ends_with(magnitude_suffix) || name.ends_with(b_bias_suffix);
    for (const auto& [a, b] : kinds) {
      // A is read with its B; a B alone is found to lack its A.
      const bool is_a = name.ends_with(a), is_b = name.ends_with(b);
      is_factor = is_factor || is_a || is_b;
      if (!is_a && !is_b) continue;
      const std::string module = name.substr(0, name.size() - (is_a ? a : b).size());
      if (adapter.modules.contains(module)) continue;
      LoRAFactors<T> factors{adapter.config.layer_config(module), read(module + std::string(a)),
                             read(module + std::string(b))};
      const Index rank = factors.config.rank;
      if (factors.a.value.rows() != rank ||
          (factors.b.shape.size() == 2 && factors.b.value.cols() != rank))
        throw FileError(message(weights.path().string(), ": the factors of ", in_quotes(module),
                                " are of shapes ", io::shape_text(factors.a.shape), " and ",
                                io::shape_text(factors.b.shape), ", expected rank ", rank,
                                " by adapter_config.json"));
      if (factors.config.use_dora) {
        factors.magnitude = read(module + magnitude_suffix);
        const Index out = factors.b.value.rows();
        if (factors.magnitude->value.size() != out)
          throw FileError(message(weights.path().string(), ": the magnitudes of ",
                                  in_quotes(module), " are of shape ",
                                  io::shape_text(factors.magnitude->shape), ", expected ", out,
                                  " numbers, one for each row of B"));
      }
      if (factors.config.lora_bias) {
        if (a == kinds[1].first)
          throw FileError(message(weights.path().string(), ": ", in_quotes(module),
                                  " is an embedding, which lora_bias in adapter_config.json does "
                                  "not go with"));
        factors.b_bias = read(module + b_bias_suffix);
        if (const Index out = factors.b.value.rows(); factors.b_bias->shape != io::Shape{out})
          throw FileError(message(weights.path().string(), ": the bias of B of ", in_quotes(module),
                                  " is of shape ", io::shape_text(factors.b_bias->shape),
                                  ", expected (", out, ")"));
      }
      factors.is_embedding = a == kinds[1].first;
      factors.config.train_bias = weights.contains(module + ".base_layer.bias");
      adapter.modules.emplace(module, std::move(factors));
    }
    if (!is_factor) adapter.others.emplace(name, read(name));
  }
  weights.require_all_used({});
  return adapter;
}

}  // namespace lora::peft

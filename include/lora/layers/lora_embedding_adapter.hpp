#pragma once

#include <algorithm>
#include <cstdint>
#include <string>
#include <utility>

#include "lora/core/matrix.hpp"
#include "lora/core/parameter_list.hpp"
#include "lora/core/parameter_name.hpp"
#include "lora/core/trainable_scalar.hpp"
#include "lora/init/gaussian.hpp"
#include "lora/layers/lora_config.hpp"
#include "lora/random/random.hpp"

namespace lora {

/// The trainable part of a LoRAEmbedding: A (rank, entries), B (features, rank), their settings,
/// and the name of the module that they adapt. A value, as LoRAAdapter is.
///
/// The dropout of its settings is kept for files and changes nothing, as in PEFT: ids have no
/// elements to drop.
template <class T>
class LoRAEmbeddingAdapter {
  static_assert(require_trainable_scalar<T>());

 public:
  using Scalar = T;

  /// Makes the factors for a table (entries, features): A zero and B standard normal, whatever
  /// config.init says (PEFT 0.21's init_lora_weights of an embedding). Throws ConfigError for
  /// settings out of range.
  LoRAEmbeddingAdapter(Index entries, Index features, const LoRAConfig& config, std::uint64_t seed)
      : LoRAEmbeddingAdapter(config, zeros(config.rank, entries), zeros(features, config.rank),
                             seed) {
    gaussian<T>(b_.value, Random(seed, RandomStream::initialisation), 1);
  }

  /// Takes the factors a (rank, entries) and b (features, rank), as a file has them. Throws
  /// ConfigError for settings out of range, ShapeError for factors of another rank.
  LoRAEmbeddingAdapter(const LoRAConfig& config, Matrix<T> a, Matrix<T> b, std::uint64_t seed = 0)
      : config_((validate(config, "LoRAEmbeddingAdapter"), config)), seed_(seed) {
    require_shape(a, config.rank, a.cols(), "LoRAEmbeddingAdapter", "a", "rank", "entries");
    require_shape(b, b.rows(), config.rank, "LoRAEmbeddingAdapter", "b", "features", "rank");
    a_ = Parameter<T>("", std::move(a));
    b_ = Parameter<T>("", std::move(b));
    set_name("");
  }

  [[nodiscard]] Index rank() const { return config_.rank; }
  [[nodiscard]] const LoRAConfig& config() const { return config_; }

  /// Returns the seed that it was made from.
  [[nodiscard]] std::uint64_t seed() const { return seed_; }

  /// Returns the path of the adapted module, as in PEFT: `model.embed_tokens`.
  [[nodiscard]] const std::string& name() const { return name_; }

  /// Names the module; A and B are then `name.lora_embedding_A` and `name.lora_embedding_B`.
  void set_name(std::string name) {
    std::string a_name = parameter_name(name, "lora_embedding_A");
    std::string b_name = parameter_name(name, "lora_embedding_B");
    name_ = std::move(name);
    a_.name = std::move(a_name);
    b_.name = std::move(b_name);
  }

  [[nodiscard]] Parameter<T>& a() { return a_; }
  [[nodiscard]] const Parameter<T>& a() const { return a_; }
  [[nodiscard]] Parameter<T>& b() { return b_; }
  [[nodiscard]] const Parameter<T>& b() const { return b_; }

  /// Lists A and B.
  [[nodiscard]] ParameterList<T> parameters() { return {&a_, &b_}; }

  /// Returns the number of scalars: rank (entries + features).
  [[nodiscard]] Index size() const { return a_.size() + b_.size(); }

 private:
  // Of no rows or columns where the rank is none: validate says so.
  static Matrix<T> zeros(Index rows, Index cols) {
    return Matrix<T>::Zero(std::max<Index>(rows, 0), std::max<Index>(cols, 0));
  }

  LoRAConfig config_;
  std::string name_;
  std::uint64_t seed_;
  Parameter<T> a_;
  Parameter<T> b_;
};

}  // namespace lora

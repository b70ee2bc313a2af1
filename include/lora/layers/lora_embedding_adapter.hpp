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

/// The trainable part of a LoRAEmbedding: A (rank, entries), B (features, rank), with DoRA
/// (config.use_dora) the magnitudes m (1, features), their settings, and the name of the module
/// that they adapt. A value, as LoRAAdapter is.
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

  /// Takes the magnitudes (1, features) of DoRA as well. Throws ConfigError unless
  /// config.use_dora, and ShapeError.
  LoRAEmbeddingAdapter(const LoRAConfig& config, Matrix<T> a, Matrix<T> b, Matrix<T> magnitude,
                       std::uint64_t seed = 0)
      : LoRAEmbeddingAdapter(config, std::move(a), std::move(b), seed) {
    set_magnitude(std::move(magnitude));
  }

  [[nodiscard]] Index rank() const { return config_.rank; }
  [[nodiscard]] const LoRAConfig& config() const { return config_; }

  /// Returns the seed that it was made from.
  [[nodiscard]] std::uint64_t seed() const { return seed_; }

  /// Returns the path of the adapted module, as in PEFT: `model.embed_tokens`.
  [[nodiscard]] const std::string& name() const { return name_; }

  /// Names the module; A, B and m are then `name.lora_embedding_A`, `name.lora_embedding_B` and
  /// `name.lora_magnitude_vector.weight`.
  void set_name(std::string name) {
    std::string a_name = parameter_name(name, "lora_embedding_A");
    std::string b_name = parameter_name(name, "lora_embedding_B");
    std::string m_name = parameter_name(name, "lora_magnitude_vector.weight");
    name_ = std::move(name);
    a_.name = std::move(a_name);
    b_.name = std::move(b_name);
    magnitude_.name = std::move(m_name);
  }

  [[nodiscard]] Parameter<T>& a() { return a_; }
  [[nodiscard]] const Parameter<T>& a() const { return a_; }
  [[nodiscard]] Parameter<T>& b() { return b_; }
  [[nodiscard]] const Parameter<T>& b() const { return b_; }

  /// Returns the magnitudes m (1, features) of DoRA; empty without it, and until a layer has given
  /// some.
  [[nodiscard]] Parameter<T>& magnitude() { return magnitude_; }
  [[nodiscard]] const Parameter<T>& magnitude() const { return magnitude_; }

  /// Tells whether there are magnitudes.
  [[nodiscard]] bool has_magnitude() const { return magnitude_.size() > 0; }

  /// Gives the adapter the magnitudes (1, features): new parameters. Throws ConfigError unless
  /// config().use_dora, ShapeError for another shape.
  void set_magnitude(Matrix<T> magnitude) {
    if (!config_.use_dora)
      throw ConfigError(message("LoRAEmbeddingAdapter", name_.empty() ? "" : " " + name_,
                                ": there are magnitudes, but use_dora is not set"));
    const Index features = b_.value.rows();
    require_shape(magnitude, 1, features, "LoRAEmbeddingAdapter", "magnitude", "1", "features");
    magnitude_ = Parameter<T>(magnitude_.name, std::move(magnitude), {features});
  }

  /// Lists A, B and, if there are some, the magnitudes.
  [[nodiscard]] ParameterList<T> parameters() {
    ParameterList<T> list{&a_, &b_};
    if (has_magnitude()) list.add(magnitude_);
    return list;
  }

  /// Returns the number of scalars: rank (entries + features), and features of DoRA.
  [[nodiscard]] Index size() const { return a_.size() + b_.size() + magnitude_.size(); }

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
  Parameter<T> magnitude_;
};

}  // namespace lora

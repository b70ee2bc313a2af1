#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>

#include "lora/core/matrix.hpp"
#include "lora/core/parameter_list.hpp"
#include "lora/core/parameter_name.hpp"
#include "lora/core/trainable_scalar.hpp"
#include "lora/init/gaussian.hpp"
#include "lora/init/kaiming_uniform.hpp"
#include "lora/init/orthogonal.hpp"
#include "lora/layers/lora_config.hpp"
#include "lora/random/dropout_mask.hpp"
#include "lora/random/random.hpp"
#include "lora/random/substream.hpp"

namespace lora {

/// The trainable part of a LoRA layer: A (rank, in), B (out, rank), or (out, rank / groups) beside
/// a convolution in groups, with config.lora_bias B's bias b_B (1, out), with DoRA
/// (config.use_dora) the magnitudes m (1, out), their settings, and the name of the module that
/// they adapt. A value that is saved, loaded and exchanged; it knows nothing of the frozen weight
/// beside it. Its settings and shapes are fixed: another rank is another adapter.
///
/// Magnitudes start as the norms of the rows of W + s B A, so the layer that an adapter with DoRA
/// is added to gives it those if it has none.
template <class T>
class LoRAAdapter {
  static_assert(require_trainable_scalar<T>());

 public:
  using Scalar = T;

  /// Makes the factors for a weight (out, in) as config.init says: A random, and B zero or such
  /// that B A = 0. Throws ConfigError for settings out of range and a start that needs more than
  /// a seed, or, with groups, than a random A.
  LoRAAdapter(Index out_features, Index in_features, const LoRAConfig& config, std::uint64_t seed,
              Index groups = 1);

  /// Takes the factors a (rank, in) and b (out, rank / groups), as a file has them. `seed` is that
  /// of the dropout masks. Throws ConfigError for settings out of range and a rank that is no
  /// multiple of the groups, ShapeError for factors of another rank.
  LoRAAdapter(const LoRAConfig& config, Matrix<T> a, Matrix<T> b, std::uint64_t seed = 0,
              Index groups = 1);

  /// Takes the magnitudes (1, out) of DoRA as well. Throws ConfigError unless config.use_dora, and
  /// ShapeError.
  LoRAAdapter(const LoRAConfig& config, Matrix<T> a, Matrix<T> b, Matrix<T> magnitude,
              std::uint64_t seed = 0)
      : LoRAAdapter(config, std::move(a), std::move(b), seed) {
    set_magnitude(std::move(magnitude));
  }

  [[nodiscard]] Index rank() const { return config_.rank; }

  /// Returns the groups of the convolution that this adapts, of whose A each group has rank /
  /// groups rows to itself; 1 beside any other weight.
  [[nodiscard]] Index groups() const { return groups_; }

  [[nodiscard]] Index in_features() const { return a_.value.cols(); }
  [[nodiscard]] Index out_features() const { return b_.value.rows(); }
  [[nodiscard]] const LoRAConfig& config() const { return config_; }
  [[nodiscard]] std::uint64_t seed() const { return seed_; }

  /// Returns the path of the adapted module, as in PEFT: `encoder.layer.0.attention.self.query`.
  [[nodiscard]] const std::string& name() const { return name_; }

  /// Names the module; A, B, b_B and m are then `name.lora_A.weight`, `name.lora_B.weight`,
  /// `name.lora_B.bias` and `name.lora_magnitude_vector.weight`. The dropout masks follow the name,
  /// so that two layers of one seed have different ones.
  void set_name(std::string name) {
    std::string a_name = parameter_name(name, "lora_A.weight");
    std::string b_name = parameter_name(name, "lora_B.weight");
    std::string bias_name = parameter_name(name, "lora_B.bias");
    std::string m_name = parameter_name(name, "lora_magnitude_vector.weight");
    dropout_random_ = Random(seed_, RandomStream::dropout, substream_of(name));
    name_ = std::move(name);
    a_.name = std::move(a_name);
    b_.name = std::move(b_name);
    b_bias_.name = std::move(bias_name);
    magnitude_.name = std::move(m_name);
  }

  [[nodiscard]] Parameter<T>& a() { return a_; }
  [[nodiscard]] const Parameter<T>& a() const { return a_; }
  [[nodiscard]] Parameter<T>& b() { return b_; }
  [[nodiscard]] const Parameter<T>& b() const { return b_; }

  /// Returns b_B (1, out) of config().lora_bias, which begins as zeros; empty without.
  [[nodiscard]] Parameter<T>& b_bias() { return b_bias_; }
  [[nodiscard]] const Parameter<T>& b_bias() const { return b_bias_; }

  /// Sets b_B (1, out). Throws ConfigError unless config().lora_bias, ShapeError for another shape.
  void set_b_bias(Matrix<T> bias) {
    if (!config_.lora_bias)
      throw ConfigError(message("LoRAAdapter", name_.empty() ? "" : " " + name_,
                                ": there is a bias of B, but lora_bias is not set"));
    require_shape(bias, 1, out_features(), "LoRAAdapter", "b_bias", "1", "out_features");
    b_bias_ = Parameter<T>(b_bias_.name, std::move(bias), {out_features()});
  }

  /// Returns the magnitudes m (1, out) of DoRA; empty without it, and until a layer has given some.
  [[nodiscard]] Parameter<T>& magnitude() { return magnitude_; }
  [[nodiscard]] const Parameter<T>& magnitude() const { return magnitude_; }

  /// Tells whether there are magnitudes.
  [[nodiscard]] bool has_magnitude() const { return magnitude_.size() > 0; }

  /// Gives the adapter the magnitudes (1, out): new parameters. Throws ConfigError unless
  /// config().use_dora, ShapeError for another shape.
  void set_magnitude(Matrix<T> magnitude) {
    if (!config_.use_dora)
      throw ConfigError(message("LoRAAdapter", name_.empty() ? "" : " " + name_,
                                ": there are magnitudes, but use_dora is not set"));
    require_shape(magnitude, 1, out_features(), "LoRAAdapter", "magnitude", "1", "out_features");
    magnitude_ = Parameter<T>(magnitude_.name, std::move(magnitude), {out_features()});
  }

  /// Lists A unless it is frozen, B and, if there are some, b_B and the magnitudes.
  [[nodiscard]] ParameterList<T> parameters() {
    ParameterList<T> list;
    if (!config_.freeze_a) list.add(a_);
    list.add(b_);
    if (config_.lora_bias) list.add(b_bias_);
    if (has_magnitude()) list.add(magnitude_);
    return list;
  }

  /// Returns the number of scalars: rank (in + out), and out each of b_B and DoRA.
  [[nodiscard]] Index size() const {
    return a_.size() + b_.size() + b_bias_.size() + magnitude_.size();
  }

  /// Returns the number of scalars that train: all but A's where that is frozen.
  [[nodiscard]] Index trainable_size() const { return size() - (config_.freeze_a ? a_.size() : 0); }

  /// Returns the mask that x (N, in) has in the forward of this mask_step (see Tape), or nothing
  /// without dropout. A function of (seed, name, mask_step, element).
  [[nodiscard]] std::optional<DropoutMask> dropout_mask(std::uint64_t mask_step) const {
    return dropout_mask(mask_step, in_features());
  }

  /// Returns the same for an x of `columns` columns: the pixels of images, of which `in` counts
  /// those of a whole patch.
  [[nodiscard]] std::optional<DropoutMask> dropout_mask(std::uint64_t mask_step,
                                                        Index columns) const {
    if (config_.dropout == 0) return {};
    return DropoutMask(dropout_random_, mask_step, config_.dropout, columns);
  }

 private:
  // Of no rows or columns where the rank is none: validate says so.
  static Matrix<T> zeros(Index rows, Index cols) {
    return Matrix<T>::Zero(std::max<Index>(rows, 0), std::max<Index>(cols, 0));
  }

  // Returns the columns of B.
  static Index require_groups(Index rank, Index groups) {
    if (groups < 1 || rank % groups != 0)
      throw ConfigError(
          message("LoRAAdapter: rank is ", rank, ", expected a multiple of groups = ", groups));
    return rank / groups;
  }

  LoRAConfig config_;
  std::string name_;
  Index groups_;
  std::uint64_t seed_;
  Random dropout_random_;
  Parameter<T> a_;
  Parameter<T> b_;
  Parameter<T> b_bias_;
  Parameter<T> magnitude_;
};

// Defined outside the class, where they are not inline: a program that links lora::compiled then
// takes them from there and compiles none of what they call.

template <class T>
LoRAAdapter<T>::LoRAAdapter(Index out_features, Index in_features, const LoRAConfig& config,
                            std::uint64_t seed, Index groups)
    : LoRAAdapter(config, zeros(config.rank, in_features),
                  zeros(out_features, require_groups(config.rank, groups)), seed, groups) {
  const Random random(seed, RandomStream::initialisation);
  if (config.init == LoRAInit::gaussian) {
    gaussian<T>(a_.value, random, 1 / static_cast<double>(config.rank));
  } else if (config.init == LoRAInit::orthogonal && groups == 1) {
    const auto start = orthogonal<T>(out_features, in_features, config.rank, random);
    a_.value = start.a;
    b_.value = start.b;
  } else if (config.init == LoRAInit::kaiming) {
    kaiming_uniform<T>(a_.value, random);
  } else {
    throw ConfigError(message("LoRAAdapter: init is ", name_of(config.init),
                              groups > 1 ? ", which a convolution in groups has no factors for"
                                         : ", which takes more than a seed: begin with another, "
                                           "then see layers/weight_start.hpp"));
  }
}

template <class T>
LoRAAdapter<T>::LoRAAdapter(const LoRAConfig& config, Matrix<T> a, Matrix<T> b, std::uint64_t seed,
                            Index groups)
    : config_((validate(config, "LoRAAdapter"), config)),
      groups_(groups),
      seed_(seed),
      dropout_random_(seed, RandomStream::dropout) {
  require_shape(a, config.rank, a.cols(), "LoRAAdapter", "a", "rank", "in_features");
  require_shape(b, b.rows(), require_groups(config.rank, groups), "LoRAAdapter", "b",
                "out_features", groups == 1 ? "rank" : "rank / groups");
  a_ = Parameter<T>("", std::move(a));
  b_ = Parameter<T>("", std::move(b));
  if (config.lora_bias)
    b_bias_ = Parameter<T>("", Matrix<T>::Zero(1, out_features()), {out_features()});
  set_name("");
}

}  // namespace lora

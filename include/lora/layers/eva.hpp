#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <string>
#include <utility>
#include <vector>

#include "lora/core/matrix.hpp"
#include "lora/core/number_checks.hpp"
#include "lora/core/place.hpp"
#include "lora/init/incremental_pca.hpp"
#include "lora/layers/lora_config.hpp"
#include "lora/layers/lora_linear.hpp"

namespace lora {

/// The settings of EvaStarts; the words are those of PEFT's EvaConfig.
struct EvaOptions {
  double rho = 2;              ///< a layer's rank grows to at most rho times its own; at least 1
  bool whiten = false;         ///< divides each direction by the root of its singular value
  bool adjust_scaling = true;  ///< alpha grows with the rank, so that the scaling stays
  SvdOptions svd = {};
};

/// What EVA gives one layer. Rank 0 says that the layer needs no adapter.
template <class T>
struct EvaStart {
  LoRAConfig config;  ///< with the new rank and alpha, where the rank is not 0
  Matrix<T> a;        ///< (rank, in); B starts at zero
};

/// Starts of adapters by the data that they will see (Paischer et al., "Explained Variance
/// Adaptation", 2024, arXiv 2410.07170; PEFT 0.21's init_lora_weights="eva"). A of each layer
/// begins with the main directions of its inputs, and the ranks go where they explain most: of the
/// directions of all layers, those with the largest share in their layer's variance are taken, as
/// many as the layers' ranks sum up to. The base model stays as it is.
///
///     EvaStarts<float> eva({layer0.config(), layer1.config()}, {768, 3072});
///     while (!eva.converged()) { eva.add(0, x0); eva.add(1, x1); }  // x (N, in) of each layer
///     const auto starts = eva.finish();
///     start_eva(layer0, starts[0]);
///
/// x should be without the rows of padding and those whose labels do not count. Not for several
/// threads at once, except that each may `add` to another layer.
template <class T>
class EvaStarts {
 public:
  /// Begins for layers of these settings and in_features. Throws ConfigError for settings or
  /// options out of range (rho below 1 too), and for lists of unequal lengths.
  EvaStarts(std::vector<LoRAConfig> configs, const std::vector<Index>& in_features,
            const EvaOptions& options = {})
      : configs_(std::move(configs)), options_(options) {
    require_finite(options.rho, "EvaStarts", "rho");
    if (options.rho < 1)
      throw ConfigError(message("EvaStarts: rho is ", options.rho, ", expected at least 1"));
    if (configs_.size() != in_features.size())
      throw ConfigError(message("EvaStarts: there are ", configs_.size(), " settings and ",
                                in_features.size(), " in_features, expected as many"));
    for (std::size_t i = 0; i < configs_.size(); ++i) {
      validate(configs_[i], "EvaStarts");
      // Halves to even, as Python rounds.
      const double most = std::nearbyint(static_cast<double>(configs_[i].rank) * options.rho);
      const auto limit = static_cast<double>(in_features[i]);
      layers_.emplace_back(static_cast<Index>(std::min(most, limit)), in_features[i], options.svd);
    }
  }

  /// Takes inputs x (N, in) of a layer in. Throws ConfigError for a layer that is not there, and
  /// what IncrementalPca::add throws.
  void add(std::size_t layer, ConstMatrixRef<T> x) {
    if (layer >= layers_.size())
      throw ConfigError(
          message("EvaStarts::add: layer is ", layer, ", expected below ", layers_.size()));
    layers_[layer].add(x);
  }

  /// Returns what is known of a layer's inputs.
  [[nodiscard]] const IncrementalPca<T>& inputs_of(std::size_t layer) const {
    return layers_.at(layer);
  }

  /// Returns the ranks of the layers by what was added so far. The first layers win a tie.
  [[nodiscard]] std::vector<Index> ranks() const {
    struct Direction {
      double share;
      std::size_t layer;
    };
    std::vector<Direction> all;
    Index budget = 0;
    for (std::size_t i = 0; i < layers_.size(); ++i) {
      budget += configs_[i].rank;
      for (const double share : layers_[i].explained_variance_ratio()) all.push_back({share, i});
    }
    std::stable_sort(all.begin(), all.end(),
                     [](const Direction& a, const Direction& b) { return a.share > b.share; });
    all.resize(std::min(all.size(), static_cast<std::size_t>(budget)));
    std::vector<Index> ranks(layers_.size(), 0);
    for (const Direction& direction : all) ++ranks[direction.layer];
    return ranks;
  }

  /// Tells whether the last batch left all directions that count as they were: cosines of at least
  /// `tau` with what they were before.
  [[nodiscard]] bool converged(double tau = 0.99) const {
    const std::vector<Index> all = ranks();
    for (std::size_t i = 0; i < layers_.size(); ++i) {
      const Eigen::VectorXd& similarity = layers_[i].similarity();
      if (similarity.size() == 0 || !(similarity.head(all[i]).array() >= tau).all()) return false;
    }
    return true;
  }

  /// Returns what each layer starts with. Throws StateError, naming its number, if nothing was
  /// added for a layer.
  [[nodiscard]] std::vector<EvaStart<T>> finish() const {
    for (std::size_t i = 0; i < layers_.size(); ++i)
      if (layers_[i].samples() == 0)
        throw StateError(message("EvaStarts::finish: no inputs of layer ", i, " were added"));
    const std::vector<Index> all = ranks();
    std::vector<EvaStart<T>> starts;
    for (std::size_t i = 0; i < layers_.size(); ++i) {
      EvaStart<T> start{configs_[i], layers_[i].components().topRows(all[i])};
      if (options_.adjust_scaling && all[i] != start.config.rank)
        start.config.alpha = start.config.alpha_or_default() * static_cast<double>(all[i]) /
                             static_cast<double>(start.config.rank);
      else
        start.config.alpha = start.config.alpha_or_default();
      start.config.rank = all[i];
      start.config.init = LoRAInit::eva;
      for (Index r = 0; options_.whiten && r < all[i]; ++r)
        start.a.row(r) /= static_cast<T>(std::sqrt(layers_[i].singular_values()(r)));
      starts.push_back(std::move(start));
    }
    return starts;
  }

 private:
  std::vector<LoRAConfig> configs_;
  EvaOptions options_;
  std::vector<IncrementalPca<T>> layers_;
};

/// Gives the layer's active adapter what EVA found: A, B of zeros, and the new rank; a start of
/// rank 0 deletes the adapter. Throws what replace_adapter and delete_adapter throw; then nothing
/// has changed.
template <class T, class Frozen>
void start_eva(LoRALinear<T, Frozen>& layer, const EvaStart<T>& start) {
  if (start.config.rank > 0)
    return layer.replace_adapter(start.config, start.a,
                                 Matrix<T>::Zero(layer.out_features(), start.config.rank));
  const auto active = layer.active_adapter();
  if (!active)
    throw StateError(message(Place{"start_eva", layer.name()}, ": no adapter is active"));
  layer.delete_adapter(*active);
}

}  // namespace lora

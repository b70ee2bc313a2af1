#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "lora/core/matrix.hpp"
#include "lora/core/scratch.hpp"
#include "lora/core/tape.hpp"
#include "lora/frozen/frozen_passes.hpp"
#include "lora/kernels/low_rank_gradients.hpp"
#include "lora/kernels/low_rank_path.hpp"
#include "lora/kernels/packed_bands.hpp"
#include "lora/layers/lora_linear.hpp"
#include "lora/nn/bias_gradient.hpp"

namespace lora {

/// Computes several LoRA layers of one input x together: query, key and value, or gate and up.
///
///     y_p = x W_p^T + b_p + s_p drop_p(x) A_p^T B_p^T,   dx = sum over p of dy_p W_p + s_p g_p A_p
///
/// The results are those of the layers alone (MergedLinear in Hu et al.'s code; PEFT has separate
/// layers), but x is read and packed once for all of them, A's gradients come from one pass over x,
/// and dx is summed in place. Each part stays a whole LoRALinear with its own name, settings,
/// switches and factors, and is saved, loaded and merged by itself.
template <class T, class Frozen = DenseWeight<T>>
requires FrozenWeight<Frozen, T>
class LoRALinearGroup {
 public:
  using Scalar = T;
  using Part = LoRALinear<T, Frozen>;

  /// Takes one to eight layers of the same in_features. Throws ShapeError.
  explicit LoRALinearGroup(std::vector<Part> parts) : parts_(std::move(parts)) {
    if (parts_.empty() || parts_.size() > low_rank_path::most_paths)
      throw ShapeError(message("LoRALinearGroup: ", parts_.size(), " parts, expected 1 to ",
                               low_rank_path::most_paths));
    for (const Part& part : parts_)
      if (part.in_features() != in_features())
        throw ShapeError(message("LoRALinearGroup: a part has in_features = ", part.in_features(),
                                 ", expected ", in_features(), " as the first"));
  }

  [[nodiscard]] std::size_t size() const { return parts_.size(); }
  [[nodiscard]] Part& part(std::size_t p) { return parts_.at(p); }
  [[nodiscard]] const Part& part(std::size_t p) const { return parts_.at(p); }
  [[nodiscard]] Index in_features() const { return parts_.front().in_features(); }

  /// Lists the parameters of all parts.
  [[nodiscard]] ParameterList<T> parameters() {
    ParameterList<T> all;
    for (Part& part : parts_) all.add(part.parameters());
    return all;
  }

  /// Computes y[p] (N, out_p) of every part for x (N, in), without dropout; each is resized. Throws
  /// ShapeError.
  void forward(ConstMatrixRef<T> x, std::span<Matrix<T>> y) const {
    check_input(x, y.size(), "LoRALinearGroup::forward");
    Scratch scratch;
    MatrixRef<T> xa = scratch.matrix<T>(x.rows(), active_rank());
    run_forward(x, {}, xa, y);
  }

  /// Computes the same with dropout, and leaves on the tape what backward needs: every part's
  /// drop(x) A^T. Throws ShapeError, and StateError while a part is merged.
  void forward(ConstMatrixRef<T> x, Tape<T>& tape, std::span<Matrix<T>> y) const {
    check_input(x, y.size(), "LoRALinearGroup::forward");
    for (const Part& part : parts_)
      if (part.merged())
        throw StateError("LoRALinearGroup::forward(x, tape, y): a part is merged: unmerge() first");
    auto& frame = tape.push(this, parts_.front().name(), x.rows());
    run_forward(x, frame.mask_step(), frame.keep(x.rows(), active_rank()), y);
  }

  /// Adds to the gradients of every part and computes dx (N, in), which is resized, from dy[p]
  /// (N, out_p). Throws ShapeError and StateError, before anything changes.
  void backward(ConstMatrixRef<T> x, std::span<const Matrix<T>> dy, Tape<T>& tape, Matrix<T>& dx) {
    check_backward(x, dy, tape);
    dx.resize(x.rows(), in_features());
    run_backward(x, dy, tape, MatrixRef<T>(dx));
  }

  /// Does the same without dx.
  void backward(ConstMatrixRef<T> x, std::span<const Matrix<T>> dy, Tape<T>& tape) {
    check_backward(x, dy, tape);
    run_backward(x, dy, tape, MatrixRef<T>(nullptr, 0, 0, 0));
  }

 private:
  static constexpr std::size_t most = low_rank_path::most_paths;

  [[nodiscard]] static bool active(const Part& part) {
    return part.adapter_enabled() && !part.merged();
  }

  [[nodiscard]] Index active_rank() const {
    Index sum = 0;
    for (const Part& part : parts_) sum += active(part) ? part.rank() : 0;
    return sum;
  }

  void check_input(const ConstMatrixRef<T>& x, std::size_t count, const char* where) const {
    require_cols(x, in_features(), where, "x", "in_features");
    if (count != size())
      throw ShapeError(
          message(where, ": ", count, " matrices, expected one for each of ", size(), " parts"));
  }

  void check_backward(const ConstMatrixRef<T>& x, std::span<const Matrix<T>> dy,
                      Tape<T>& tape) const {
    constexpr const char* where = "LoRALinearGroup::backward";
    check_input(x, dy.size(), where);
    for (std::size_t p = 0; p < size(); ++p) {
      if (parts_[p].merged())
        throw StateError(message(where, ": part ", p, " is merged: unmerge() first"));
      require_shape(dy[p], x.rows(), parts_[p].out_features(), where, "dy");
    }
    const Index cols = tape.top(this, x.rows(), where).kept().cols();
    if (cols != active_rank())
      throw StateError(message(where, ": the ranks of the active parts were ", cols,
                               " in forward and are ", active_rank(), " now"));
  }

  // Calls action(p, first) for every active part, whose xa begins with column `first`.
  template <class Action>
  void for_each_active(const Action& action) const {
    Index first = 0;
    for (std::size_t p = 0; p < size(); ++p)
      if (active(parts_[p])) {
        action(p, first);
        first += parts_[p].rank();
      }
  }

  void run_forward(ConstMatrixRef<T> x, std::optional<std::uint64_t> mask_step, MatrixRef<T> xa,
                   std::span<Matrix<T>> y) const {
    std::array<low_rank_path::Input<T>, most> inputs = repeated<low_rank_path::Input<T>>(
        {ConstMatrixRef<T>(nullptr, 0, 0, 0), MatrixRef<T>(nullptr, 0, 0, 0), {}});
    std::size_t paths = 0;
    std::array<ConstMatrixRef<T>, most> of_part =
        repeated<ConstMatrixRef<T>>(ConstMatrixRef<T>(xa.leftCols(0)));
    for_each_active([&](std::size_t p, Index first) {
      const Part& part = parts_[p];
      MatrixRef<T> own = xa.middleCols(first, part.rank());
      std::construct_at(
          &inputs[paths++],
          low_rank_path::Input<T>{part.lora_A().value, own,
                                  mask_step ? part.dropout_mask(*mask_step) : std::nullopt});
      std::construct_at(&of_part[p], own);
    });
    low_rank_path::forward<T>(x, std::span<const low_rank_path::Input<T>>(inputs.data(), paths));

    for (std::size_t p = 0; p < size(); ++p) y[p].resize(x.rows(), parts_[p].out_features());
    if constexpr (PanelWeight<Frozen, T>)
      if (share_packing(x)) return packed_forward(x, of_part, y);
    for (std::size_t p = 0; p < size(); ++p)
      frozen_passes::forward<T>(parts_[p].weight(), x, bias_of(p), low_rank(p, of_part[p]), y[p]);
  }

  template <class Value>
  [[nodiscard]] static std::array<Value, most> repeated(const Value& value) {
    return [&]<std::size_t... i>(std::index_sequence<i...>) {
      return std::array<Value, most>{(static_cast<void>(i), value)...};
    }
    (std::make_index_sequence<most>{});
  }

  [[nodiscard]] const T* bias_of(std::size_t p) const {
    return parts_[p].has_bias() ? parts_[p].bias().value.data() : nullptr;
  }

  [[nodiscard]] frozen_passes::LowRankPart<T> low_rank(std::size_t p, ConstMatrixRef<T> xa) const {
    const FixedMatrix<T>& b = parts_[p].lora_B().value;
    return {xa, kernels::columns_of(b.data(), b.outerStride(), false),
            static_cast<T>(parts_[p].scaling())};
  }

  [[nodiscard]] bool share_packing(const ConstMatrixRef<T>& x) const {
    for (const Part& part : parts_)
      if (!frozen_passes::forward_from_panels<T>(part.weight(), x)) return false;
    return true;
  }

  void packed_forward(ConstMatrixRef<T> x, const std::array<ConstMatrixRef<T>, most>& xa,
                      std::span<Matrix<T>> y) const {
    kernels::for_each_packed_band<T>(x, [&](const kernels::PackedLeft<T>& packed, Index row) {
      for (std::size_t p = 0; p < size(); ++p)
        frozen_passes::forward_band<T>(parts_[p].weight(), packed, row, bias_of(p),
                                       low_rank(p, xa[p]), y[p]);
    });
  }

  void run_backward(ConstMatrixRef<T> x, std::span<const Matrix<T>> dy, Tape<T>& tape,
                    MatrixRef<T> dx) {
    auto& frame = tape.top(this, x.rows(), "LoRALinearGroup::backward");
    MatrixRef<T> xa = frame.kept();
    Scratch scratch;
    MatrixRef<T> g = scratch.matrix<T>(x.rows(), xa.cols());
    std::array<Index, most> first_of{};
    std::array<bool, most> is_active{};
    for_each_active([&](std::size_t p, Index first) {
      first_of[p] = first;
      is_active[p] = true;
      low_rank_path::gradient_of_xa<T>(dy[p], parts_[p].lora_B().value,
                                       g.middleCols(first, parts_[p].rank()));
    });
    std::array<low_rank_path::Gradients<T>, most> paths = repeated<low_rank_path::Gradients<T>>(
        {g, g, g, T(0), MatrixRef<T>(nullptr, 0, 0, 0), MatrixRef<T>(nullptr, 0, 0, 0)});
    std::size_t count = 0;
    for (std::size_t p = 0; p < size(); ++p) {
      Part& part = parts_[p];
      if (part.config().train_bias) add_bias_gradient<T>(dy[p], part.bias().grad);
      const Index r = is_active[p] ? part.rank() : 0;
      const auto mask = is_active[p] ? part.dropout_mask(frame.mask_step()) : std::nullopt;
      MatrixRef<T> own_g = g.middleCols(first_of[p], r);
      const FixedMatrix<T>& a = part.lora_A().value;
      const T s = static_cast<T>(part.scaling());
      if (dx.cols() > 0)
        frozen_passes::backward<T>(
            part.weight(), dy[p],
            {own_g.leftCols(mask ? 0 : r), kernels::columns_of(a.data(), a.outerStride(), true), s},
            dx, p > 0);
      if (!is_active[p]) continue;
      MatrixRef<T> da = part.lora_A().grad;
      if (mask) low_rank_path::backward<T>(x, a, own_g, s, *mask, da, dx);
      std::construct_at(
          &paths[count++],
          low_rank_path::Gradients<T>{own_g, dy[p], xa.middleCols(first_of[p], r), s,
                                      da.leftCols(mask ? 0 : da.cols()), part.lora_B().grad});
    }
    low_rank_path::add_gradients<T>(
        x, std::span<const low_rank_path::Gradients<T>>(paths.data(), count));
    tape.pop();
  }

  std::vector<Part> parts_;
};

}  // namespace lora

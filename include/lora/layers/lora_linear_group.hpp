#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "lora/core/gradients.hpp"
#include "lora/core/matrix.hpp"
#include "lora/core/output.hpp"
#include "lora/core/place.hpp"
#include "lora/core/scratch.hpp"
#include "lora/core/tape.hpp"
#include "lora/frozen/frozen_passes.hpp"
#include "lora/kernels/grouped_low_rank.hpp"
#include "lora/kernels/low_rank_gradients.hpp"
#include "lora/kernels/low_rank_path.hpp"
#include "lora/kernels/packed_bands.hpp"
#include "lora/layers/adapter_routes.hpp"
#include "lora/layers/dora.hpp"
#include "lora/layers/factor_marks.hpp"
#include "lora/layers/lora_linear.hpp"
#include "lora/layers/matrix_list.hpp"
#include "lora/layers/routed_dora.hpp"
#include "lora/layers/routed_paths.hpp"
#include "lora/nn/bias_gradient.hpp"

namespace lora {

/// Several LoRA layers of one input x that are computed together: query, key and value, or gate and
/// up.
///
///     y_p = x W_p^T + b_p + s_p drop_p(x) A_p^T B_p^T,   dx = sum over p of dy_p W_p + s_p g_p A_p
///
/// The results are those of the layers alone (MergedLinear in Hu et al.'s code; PEFT has separate
/// layers), but x is read and packed once for all of them, A's gradients come from one pass over x,
/// and dx is summed in place. Each part stays a whole LoRALinear with its own name, adapters,
/// switches and factors, and is saved, loaded and merged by itself. Calls may run at once as those
/// of a LoRALinear may.
///
/// Parts may be slices of one fused weight, some with adapters and some without, as q and v of
/// GPT-2's c_attn: MappedWeights over rows of W, or over columns of a Conv1D's (in, out) with
/// Layout::column_major, which copy nothing, and the y's columns of one matrix. PEFT adapts fused
/// layers only as a whole: fused_adapter makes of the parts' adapters one that it can load.
template <class T, class Frozen = DenseWeight<T>>
requires FrozenWeight<Frozen, T>
class LoRALinearGroup {
 public:
  using Scalar = T;
  using Part = LoRALinear<T, Frozen>;

  /// Takes one to eight layers of the same in_features. Throws ShapeError.
  explicit LoRALinearGroup(std::vector<Part> parts) : parts_(std::move(parts)) {
    if (parts_.empty() || parts_.size() > most)
      throw ShapeError(message("LoRALinearGroup: ", parts_.size(), " parts, expected 1 to ", most));
    for (const Part& part : parts_)
      if (part.in_features() != in_features())
        throw ShapeError(message(Place{"LoRALinearGroup", part.name()},
                                 ": the part has in_features = ", part.in_features(), ", expected ",
                                 in_features(), " as the first"));
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

  /// Computes y[p] (N, out_p) of every part for x (N, in), without dropout. y is any list of
  /// matrices, which are resized, or of memory of the caller's. Throws ShapeError.
  void forward(ConstMatrixRef<T> x, OutputList<T> y) const {
    constexpr const char* call = "LoRALinearGroup::forward";
    check_outputs(x, y, call);
    const Used used(*this, call);
    Scratch scratch;
    const auto gains = dora_gains(used, true, call, scratch);
    const auto out = shaped(x, y, call);
    run_forward(x, used, {}, scratch.matrix<T>(x.rows(), used.rank), gains, out, out);
  }

  /// Computes the same with dropout, and leaves on the tape what backward needs: every part's
  /// drop(x) A^T, and with DoRA its z. x stays as it is until backward. Throws ShapeError, and
  /// StateError while a part is merged.
  void forward(ConstMatrixRef<T> x, Tape<T>& tape, OutputList<T> y) const {
    constexpr const char* call = "LoRALinearGroup::forward(x, tape, y)";
    for (const Part& part : parts_) part.require_unmerged(Place{call, part.name()});
    check_outputs(x, y, call);
    const Used used(*this, call);
    Scratch scratch;
    auto gains = dora_gains(used, false, call, scratch);
    const auto out = shaped(x, y, call);
    auto& frame = tape.push(this, parts_.front().name(), x.rows());
    frame.note_input(x);
    for (std::size_t p = 0; p < size(); ++p) {
      if (used.entries[p] != nullptr) detail::note_factors(*used.entries[p]->adapter, frame);
      frame.hold(used.sets[p]);
    }
    const MatrixRef<T> xa = frame.keep(x.rows(), used.rank);
    Each<MatrixRef<T>> z;
    for (std::size_t p = 0; p < size(); ++p)
      z[p].emplace(gains[p]->exist() ? gains[p]->keep(x.rows(), frame) : *out[p]);
    run_forward(x, used, frame.mask_step(), xa, gains, z, out);
  }

  /// Computes a mixed batch; see LoRALinear. Every part has the adapters that the routes name or,
  /// where they are bound to a snapshot, adds nothing to the rows of those that it lacks. Throws
  /// ShapeError, ConfigError and StateError as the parts do.
  void forward(ConstMatrixRef<T> x, const AdapterRoutes& routes, OutputList<T> y) const {
    constexpr const char* call = "LoRALinearGroup::forward(x, routes, y)";
    check_outputs(x, y, call);
    Routed routed(*this, x, routes, call);
    Scratch scratch;
    const auto gains = routed_gains(routed, true, call, scratch);
    routed.make_paths(size(), {});
    const auto out = shaped(x, y, call);
    run_forward(x, routed, scratch.matrix<T>(routes.layout()->groups.places(), routed.rank), gains,
                out, out);
  }

  /// Computes a mixed batch with dropout, and leaves on the tape what backward needs. Throws as
  /// above.
  void forward(ConstMatrixRef<T> x, const AdapterRoutes& routes, Tape<T>& tape,
               OutputList<T> y) const {
    constexpr const char* call = "LoRALinearGroup::forward(x, routes, tape, y)";
    check_outputs(x, y, call);
    Routed routed(*this, x, routes, call);
    for (std::size_t p = 0; p < size(); ++p) {
      const Place of_part{call, parts_[p].name()};
      routed.paths[p]->require_distinct(of_part);
    }
    Scratch scratch;
    auto gains = routed_gains(routed, false, call, scratch);
    const auto out = shaped(x, y, call);
    auto& frame = tape.push(this, parts_.front().name(), x.rows());
    frame.note_input(x);
    for (std::size_t p = 0; p < size(); ++p) {
      routed.paths[p]->for_each(
          [&](const Entry& entry) { detail::note_factors(*entry.adapter, frame); });
      frame.hold(routed.sets[p]);
    }
    frame.hold(routes.layout());
    static constexpr RoutedBackward routed_backward = &LoRALinearGroup::run_routed_backward;
    frame.note_backward(&routed_backward);
    routed.make_paths(size(), frame.mask_step());
    const MatrixRef<T> xa = frame.keep(routes.layout()->groups.places(), routed.rank);
    Each<MatrixRef<T>> z;
    for (std::size_t p = 0; p < size(); ++p)
      z[p].emplace(RoutedDora<T>::keep_gains(*gains[p], x.rows(), *out[p], frame));
    run_forward(x, routed, xa, gains, z, out);
  }

  /// Adds to the gradients of every part and computes dx (N, in) from dy[p] (N, out_p). Every part
  /// must be as it was in the forward. Throws ShapeError and StateError, before anything changes.
  void backward(ConstMatrixRef<T> x, InputList<T> dy, Tape<T>& tape, Output<T> dx) {
    run_backward(x, dy, tape, GradientTarget<T>::own(), &dx);
  }

  /// Does the same without dx.
  void backward(ConstMatrixRef<T> x, InputList<T> dy, Tape<T>& tape) {
    run_backward(x, dy, tape, GradientTarget<T>::own(), nullptr);
  }

  /// Does the same, but adds to `gradients`, a `Gradients<T>` made from parameters(): what threads
  /// that train one group call, each with its own.
  void backward(ConstMatrixRef<T> x, InputList<T> dy, Tape<T>& tape, GradientTarget<T> gradients,
                Output<T> dx) const {
    run_backward(x, dy, tape, gradients, &dx);
  }

  /// Does the same without dx.
  void backward(ConstMatrixRef<T> x, InputList<T> dy, Tape<T>& tape,
                GradientTarget<T> gradients) const {
    run_backward(x, dy, tape, gradients, nullptr);
  }

 private:
  static constexpr std::size_t most = low_rank_path::most_paths;
  static constexpr std::array<const char*, most> y_names{"y[0]", "y[1]", "y[2]", "y[3]",
                                                         "y[4]", "y[5]", "y[6]", "y[7]"};
  static constexpr std::array<const char*, most> dy_names{"dy[0]", "dy[1]", "dy[2]", "dy[3]",
                                                          "dy[4]", "dy[5]", "dy[6]", "dy[7]"};
  static_assert(most <= InputList<T>::most);

  using Set = AdapterSet<LoRAAdapter<T>>;
  using Entry = typename Set::Entry;
  template <class Value>
  using Each = std::array<std::optional<Value>, most>;

  // What one call uses of every part, whatever is replaced meanwhile.
  struct Used {
    Used(const LoRALinearGroup& group, const char* call) {
      for (std::size_t p = 0; p < group.size(); ++p) {
        const Part& part = group.parts_[p];
        sets[p] = part.adapters();
        entries[p] = part.in_use(*sets[p], Place{call, part.name()});
        first[p] = rank;
        rank += Part::rank_of(entries[p]);
      }
    }

    // Returns the columns of part p in a matrix (N, rank) of all parts.
    template <class Ref>
    [[nodiscard]] auto columns(Ref&& all, std::size_t p) const {
      return all.middleCols(first[p], Part::rank_of(entries[p]));
    }

    std::array<std::shared_ptr<const Set>, most> sets;
    std::array<const Entry*, most> entries{};  // null: the frozen weight alone
    std::array<Index, most> first{};
    Index rank = 0;
  };

  void check_count(std::size_t count, const char* call, const char* what) const {
    if (count != size())
      throw ShapeError(message(Place{call, parts_.front().name()}, ": ", what, " has ", count,
                               " matrices, expected one for each of ", size(), " parts"));
  }

  void check_outputs(const ConstMatrixRef<T>& x, const OutputList<T>& y, const char* call) const {
    require_cols(x, in_features(), Place{call, parts_.front().name()}, "x", "in_features");
    check_count(y.size(), call, "y");
    for (std::size_t p = 0; p < size(); ++p) {
      const Place where{call, parts_[p].name()};
      require_cols(x, parts_[p].in_features(), where, "x", "in_features");  // assigned since?
      y[p].check(x.rows(), parts_[p].out_features(), where, y_names[p], {x});
      for (std::size_t q = 0; q < p; ++q)
        if (y[p].shares_memory_with(y[q]))
          throw ShapeError(message(where, ": y[", p, "] overlaps y[", q,
                                   "]: give each of them memory of its own"));
    }
  }

  [[nodiscard]] Each<MatrixRef<T>> shaped(const ConstMatrixRef<T>& x, const OutputList<T>& y,
                                          const char* call) const {
    Each<MatrixRef<T>> out;
    for (std::size_t p = 0; p < size(); ++p)
      out[p].emplace(y[p].shaped(x.rows(), parts_[p].out_features(), call, "y"));
    return out;
  }

  [[nodiscard]] Each<dora::Gains<T>> dora_gains(const Used& used, bool remember, const char* call,
                                                Scratch& scratch) const {
    Each<dora::Gains<T>> gains;
    for (std::size_t p = 0; p < size(); ++p)
      gains[p].emplace(
          parts_[p].dora_gains(used.entries[p], remember, Place{call, parts_[p].name()}, scratch));
    return gains;
  }

  // z is where a part with DoRA puts what its gains multiply: y, or memory of the tape.
  void run_forward(ConstMatrixRef<T> x, const Used& used, std::optional<std::uint64_t> mask_step,
                   MatrixRef<T> xa, const Each<dora::Gains<T>>& gains, const Each<MatrixRef<T>>& z,
                   const Each<MatrixRef<T>>& y) const {
    std::array<low_rank_path::Input<T>, most> inputs = repeated<low_rank_path::Input<T>>(
        {ConstMatrixRef<T>(nullptr, 0, 0, 0), MatrixRef<T>(nullptr, 0, 0, 0), {}});
    std::size_t paths = 0;
    for (std::size_t p = 0; p < size(); ++p) {
      if (used.entries[p] == nullptr) continue;
      const LoRAAdapter<T>& adapter = *used.entries[p]->adapter;
      std::construct_at(
          &inputs[paths++],
          low_rank_path::Input<T>{adapter.a().value, used.columns(xa, p),
                                  mask_step ? adapter.dropout_mask(*mask_step) : std::nullopt});
    }
    low_rank_path::forward<T>(x, std::span<const low_rank_path::Input<T>>(inputs.data(), paths));

    Scratch scratch;
    std::array<const T*, most> bias{};
    for (std::size_t p = 0; p < size(); ++p) bias[p] = parts_[p].bias_row(used.entries[p], scratch);
    const auto joins = [&](std::size_t p) {
      return Part::joins_y(used.entries[p], used.columns(xa, p));
    };
    if constexpr (PanelWeight<Frozen, T>)
      if (!multiplies_others(used, mask_step.has_value()) && share_packing(x)) {
        kernels::for_each_packed_band<T>(x, [&](const kernels::PackedLeft<T>& packed, Index row) {
          for (std::size_t p = 0; p < size(); ++p)
            frozen_passes::forward_band<T>(parts_[p].weight(), packed, row,
                                           gains[p]->exist() ? nullptr : bias[p], joins(p), *z[p]);
        });
        for (std::size_t p = 0; p < size(); ++p)
          if (gains[p]->exist()) dora::scale_outputs<T>(*z[p], gains[p]->gain(), bias[p], *y[p]);
        return;
      }
    for (std::size_t p = 0; p < size(); ++p)
      if (gains[p]->exist())
        dora::forward<T>(parts_[p].weight(), x, bias[p], joins(p),
                         mask_step ? Part::mask_of(used.entries[p], *mask_step) : std::nullopt,
                         *gains[p], *z[p], *y[p]);
      else
        frozen_passes::forward<T>(parts_[p].weight(), x, bias[p], joins(p), *y[p]);
  }

  [[nodiscard]] bool share_packing(const ConstMatrixRef<T>& x) const {
    for (const Part& part : parts_)
      if (!frozen_passes::forward_from_panels<T>(part.weight(), x)) return false;
    return true;
  }

  // With DoRA and dropout a part multiplies W by another matrix than x.
  [[nodiscard]] bool multiplies_others(const Used& used, bool training) const {
    for (std::size_t p = 0; training && p < size(); ++p)
      if (dora::is_used_by(used.entries[p]) && used.entries[p]->adapter->config().dropout > 0)
        return true;
    return false;
  }

  template <class Value>
  [[nodiscard]] static std::array<Value, most> repeated(const Value& value) {
    return [&]<std::size_t... i>(std::index_sequence<i...>) {
      return std::array<Value, most>{(static_cast<void>(i), value)...};
    }
    (std::make_index_sequence<most>{});
  }

  // Where the gradients of a part go.
  struct Targets {
    std::optional<MatrixRef<T>> a, b, b_bias, magnitude, bias;
  };

  // Checks that every part is as it was in forward, and finds where its gradients go.
  [[nodiscard]] std::array<Targets, most> check_parts(const ConstMatrixRef<T>& x,
                                                      const typename Tape<T>::Frame& frame,
                                                      const Used& used, GradientTarget<T> target,
                                                      const char* call) const {
    std::array<Targets, most> targets;
    std::size_t mark = 1;  // after that of x
    for (std::size_t p = 0; p < size(); ++p) {
      const Part& part = parts_[p];
      const Place where{call, part.name()};
      Part::require_same(*static_cast<const Set*>(frame.held(p).get()), *used.sets[p], where);
      if (used.entries[p] != nullptr) {
        frame.require_input(x, where);
        detail::require_noted_factors(*used.entries[p]->adapter, frame, mark, where);
        mark += detail::factor_marks(*used.entries[p]->adapter);
        if (Part::trains_a(used.entries[p]))
          targets[p].a.emplace(target.of(used.entries[p]->adapter->a()));
        else
          targets[p].a.emplace(MatrixRef<T>(nullptr, 0, 0, 0));
        targets[p].b.emplace(target.of(used.entries[p]->adapter->b()));
        if (Part::has_b_bias(used.entries[p]))
          targets[p].b_bias.emplace(target.of(used.entries[p]->adapter->b_bias()));
        if (dora::is_used_by(used.entries[p]))
          targets[p].magnitude.emplace(target.of(used.entries[p]->adapter->magnitude()));
      }
      if (part.trains_bias(*used.sets[p])) targets[p].bias.emplace(target.of(part.bias()));
    }
    return targets;
  }

  void run_backward(ConstMatrixRef<T> x, const InputList<T>& dy, Tape<T>& tape,
                    GradientTarget<T> target, const Output<T>* dx) const {
    constexpr const char* call = "LoRALinearGroup::backward";
    const Place where{call, parts_.front().name()};
    require_cols(x, in_features(), where, "x", "in_features");
    check_count(dy.size(), call, "dy");
    for (std::size_t p = 0; p < size(); ++p) {
      const Place of_part{call, parts_[p].name()};
      parts_[p].require_unmerged(of_part);
      require_cols(x, parts_[p].in_features(), of_part, "x", "in_features");
      require_shape(dy[p], x.rows(), parts_[p].out_features(), of_part, dy_names[p], "N",
                    "out_features");
    }
    auto& frame = tape.top(this, x.rows(), where);
    if (const auto* routed = frame.template noted_backward<RoutedBackward>())
      return (this->**routed)(x, dy, tape, frame, target, dx);
    const Used used(*this, call);
    const std::array<Targets, most> targets = check_parts(x, frame, used, target, call);
    std::optional<MatrixRef<T>> out;
    if (dx != nullptr) {
      for (std::size_t p = 0; p < size(); ++p)
        dx->check(x.rows(), in_features(), where, "dx", {dy[p]});
      out.emplace(dx->shaped(x.rows(), in_features(), where, "dx", {x}));
    }

    const MatrixRef<T> xa = frame.kept(), none(nullptr, 0, 0, 0);
    Scratch scratch;
    MatrixRef<T> g = scratch.matrix<T>(x.rows(), used.rank);
    std::array<low_rank_path::Gradients<T>, most> paths =
        repeated<low_rank_path::Gradients<T>>({g, g, g, T(0), none, none});
    std::size_t count = 0, kept = 1;  // after xa
    for (std::size_t p = 0; p < size(); ++p) {
      const Part& part = parts_[p];
      const Entry* const entry = used.entries[p];
      const bool with_dora = dora::is_used_by(entry);
      const ConstMatrixRef<T> dz = dora::backward<T>(
          dy[p], frame, with_dora ? kept : 0, with_dora ? *targets[p].magnitude : none, scratch);
      if (with_dora) kept += 2;
      if (targets[p].bias) add_bias_gradient<T>(dy[p], *targets[p].bias);
      if (targets[p].b_bias)
        add_bias_gradient<T>(dy[p], static_cast<T>(entry->scaling()), *targets[p].b_bias);
      MatrixRef<T> own_g = used.columns(g, p);
      if (entry != nullptr) low_rank_path::gradient_of_xa<T>(dz, entry->adapter->b().value, own_g);
      const auto mask = Part::mask_of(entry, frame.mask_step());
      const bool mixes = mask && with_dora;
      if (out && mixes)
        dora::masked_backward<T>(part.weight(), dy[p], dz, Part::joins_dx(entry, own_g), *mask,
                                 *out, p > 0);
      else if (out)
        frozen_passes::backward<T>(part.weight(), dz,
                                   Part::joins_dx(entry, own_g.leftCols(mask ? 0 : own_g.cols())),
                                   *out, p > 0);
      if (entry == nullptr) continue;
      const T s = static_cast<T>(entry->scaling());
      MatrixRef<T> da = *targets[p].a;
      if (mask && (out || da.size() > 0))
        low_rank_path::backward<T>(x, entry->adapter->a().value, own_g, s, *mask, da,
                                   out && !mixes ? *out : none);
      std::construct_at(&paths[count++], low_rank_path::Gradients<T>{
                                             own_g, dz, used.columns(xa, p), s,
                                             da.leftCols(mask ? 0 : da.cols()), *targets[p].b});
    }
    low_rank_path::add_gradients<T>(
        x, std::span<const low_rank_path::Gradients<T>>(paths.data(), count));
    tape.pop();
  }

  // ---- Mixed batches ----

  // What one call uses of every part.
  struct Routed {
    Routed(const LoRALinearGroup& group, const ConstMatrixRef<T>& x, const AdapterRoutes& routes,
           const char* call) {
      if (routes.rows() != x.rows())
        throw ShapeError(message(Place{call, group.parts_.front().name()}, ": x is ", shape_of(x),
                                 ", expected the ", routes.rows(), " rows of the routes"));
      for (std::size_t p = 0; p < group.size(); ++p) {
        const Place where{call, group.parts_[p].name()};
        sets[p] = group.parts_[p].routed_set(routes, where);
        add(group.parts_[p], p, *routes.layout(), routes.layers_may_lack_adapters(), where);
      }
    }

    // What a forward on this frame used, which must be what the parts have.
    Routed(const LoRALinearGroup& group, const typename Tape<T>::Frame& frame, const char* call) {
      const auto& layout =
          *static_cast<const AdapterRoutes::Layout*>(frame.held(group.size()).get());
      for (std::size_t p = 0; p < group.size(); ++p) {
        const Place where{call, group.parts_[p].name()};
        sets[p] = group.parts_[p].adapters();
        RoutedPaths<T>::require_same(*static_cast<const Set*>(frame.held(p).get()), *sets[p],
                                     layout, where);
        add(group.parts_[p], p, layout, true, where);
      }
    }

    void add(const Part& part, std::size_t p, const AdapterRoutes::Layout& layout, bool may_lack,
             const Place& where) {
      paths[p].emplace(*sets[p], layout, may_lack, where,
                       [&](const LoRAAdapter<T>& adapter) { part.check_shape(adapter, where); });
      first[p] = rank;
      rank += paths[p]->rank();
    }

    void make_paths(std::size_t parts, std::optional<std::uint64_t> mask_step,
                    const GradientTarget<T>* target = nullptr) {
      for (std::size_t p = 0; p < parts; ++p) paths[p]->make_paths(mask_step, target);
    }

    // Returns the columns of part p in a matrix (places, rank) of all parts.
    [[nodiscard]] MatrixRef<T> columns(MatrixRef<T> all, std::size_t p) const {
      return all.middleCols(first[p], paths[p]->rank());
    }

    std::array<std::shared_ptr<const Set>, most> sets;
    std::array<std::optional<RoutedPaths<T>>, most> paths;
    std::array<Index, most> first{};
    Index rank = 0;
  };

  [[nodiscard]] Each<MatrixRef<T>> routed_gains(const Routed& routed, bool remember,
                                                const char* call, Scratch& scratch) const {
    Each<MatrixRef<T>> gains;
    for (std::size_t p = 0; p < size(); ++p)
      gains[p].emplace(parts_[p].routed_gains(*routed.paths[p], remember,
                                              Place{call, parts_[p].name()}, scratch));
    return gains;
  }

  void run_forward(ConstMatrixRef<T> x, const Routed& routed, MatrixRef<T> xa,
                   const Each<MatrixRef<T>>& gains, const Each<MatrixRef<T>>& z,
                   const Each<MatrixRef<T>>& y) const {
    for (std::size_t p = 0; p < size(); ++p)
      grouped_low_rank::forward<T>(routed.paths[p]->groups(), routed.paths[p]->paths(), x,
                                   routed.columns(xa, p));
    run_frozen(x, Part::joins_y(nullptr, xa), gains, y);
    for (std::size_t p = 0; p < size(); ++p) {
      if (gains[p]->rows() > 0)
        RoutedDora<T>(*routed.paths[p], *gains[p])
            .forward(parts_[p].weight(), x, parts_[p].bias_row(), routed.columns(xa, p), *z[p],
                     *y[p]);
      else
        grouped_low_rank::add_to_y<T>(routed.paths[p]->groups(), routed.paths[p]->paths(),
                                      routed.columns(xa, p), *y[p]);
      routed.paths[p]->add_b_biases(*y[p]);
    }
  }

  // Computes y[p] = b_p + x W_p^T of the parts without gains; `nothing` joins it.
  void run_frozen(ConstMatrixRef<T> x, const frozen_passes::LowRankPart<T>& nothing,
                  const Each<MatrixRef<T>>& gains, const Each<MatrixRef<T>>& y) const {
    if constexpr (PanelWeight<Frozen, T>)
      if (share_packing(x))
        return kernels::for_each_packed_band<T>(
            x, [&](const kernels::PackedLeft<T>& packed, Index row) {
              for (std::size_t p = 0; p < size(); ++p)
                if (gains[p]->rows() == 0)
                  frozen_passes::forward_band<T>(parts_[p].weight(), packed, row,
                                                 parts_[p].bias_row(), nothing, *y[p]);
            });
    for (std::size_t p = 0; p < size(); ++p)
      if (gains[p]->rows() == 0)
        frozen_passes::forward<T>(parts_[p].weight(), x, parts_[p].bias_row(), nothing, *y[p]);
  }

  using RoutedBackward = void (LoRALinearGroup::*)(ConstMatrixRef<T>, const InputList<T>&, Tape<T>&,
                                                   typename Tape<T>::Frame&, GradientTarget<T>,
                                                   const Output<T>*) const;

  void run_routed_backward(ConstMatrixRef<T> x, const InputList<T>& dy, Tape<T>& tape,
                           typename Tape<T>::Frame& frame, GradientTarget<T> target,
                           const Output<T>* dx) const {
    constexpr const char* call = "LoRALinearGroup::backward";
    const Place where{call, parts_.front().name()};
    Routed routed(*this, frame, call);
    std::array<std::optional<MatrixRef<T>>, most> dbias;
    std::size_t mark = 1;  // after that of x
    for (std::size_t p = 0; p < size(); ++p) {
      const Place of_part{call, parts_[p].name()};
      if (routed.paths[p]->rank() > 0) frame.require_input(x, of_part);
      routed.paths[p]->for_each([&](const Entry& entry) {
        detail::require_noted_factors(*entry.adapter, frame, mark, of_part);
        mark += detail::factor_marks(*entry.adapter);
      });
      if (parts_[p].trains_bias(*routed.paths[p])) dbias[p].emplace(target.of(parts_[p].bias()));
    }
    routed.make_paths(size(), frame.mask_step(), &target);
    std::array<std::optional<RoutedDora<T>>, most> dora;
    std::size_t kept = 1;  // after xa: the gains and z of each part with DoRA
    for (std::size_t p = 0; p < size(); ++p)
      if (RoutedDora<T>::is_used(*routed.paths[p])) {
        dora[p].emplace(*routed.paths[p], frame.kept(kept), &target);
        kept += 2;
      }
    std::optional<MatrixRef<T>> out;
    if (dx != nullptr) {
      for (std::size_t p = 0; p < size(); ++p)
        dx->check(x.rows(), in_features(), where, "dx", {dy[p]});
      out.emplace(dx->shaped(x.rows(), in_features(), where, "dx", {x}));
    }

    const MatrixRef<T> xa = frame.kept();
    Scratch scratch;
    const MatrixRef<T> g = scratch.matrix<T>(xa.rows(), routed.rank);
    kept = 2;
    for (std::size_t p = 0; p < size(); ++p) {
      const RowGroups& groups = routed.paths[p]->groups();
      const grouped_low_rank::Paths<T> paths = routed.paths[p]->paths();
      const MatrixRef<T> own_g = routed.columns(g, p);
      if (dbias[p]) add_bias_gradient<T>(dy[p], *dbias[p]);
      const ConstMatrixRef<T> dz =
          dora[p] ? ConstMatrixRef<T>(dora[p]->backward(dy[p], frame.kept(kept), scratch)) : dy[p];
      if (dora[p]) kept += 2;
      grouped_low_rank::gradient_of_xa<T>(groups, paths, dz, own_g);
      if (out && dora[p]) {
        dora[p]->gradient_of_x(parts_[p].weight(), dy[p], dz, own_g, *out, p > 0);
      } else if (out) {
        frozen_passes::backward<T>(parts_[p].weight(), dy[p], Part::joins_dx(nullptr, g), *out,
                                   p > 0);
        grouped_low_rank::add_to_dx<T>(groups, paths, own_g, *out);
      }
      grouped_low_rank::add_gradients<T>(groups, paths, x, dz, routed.columns(xa, p), own_g);
      routed.paths[p]->add_b_bias_gradients(dy[p]);
    }
    tape.pop();
  }

  std::vector<Part> parts_;
};

/// LoRALinearGroup under its name of 0.1, gone in 0.3.
template <class T, class Frozen = DenseWeight<T>>
using LoRAMergedLinear [[deprecated("write lora::LoRALinearGroup")]] = LoRALinearGroup<T, Frozen>;

}  // namespace lora

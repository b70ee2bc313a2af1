#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "lora/core/elementwise.hpp"
#include "lora/core/gradients.hpp"
#include "lora/core/matrix.hpp"
#include "lora/core/number_checks.hpp"
#include "lora/core/output.hpp"
#include "lora/core/parallel.hpp"
#include "lora/core/parameter_list.hpp"
#include "lora/core/place.hpp"
#include "lora/core/scratch.hpp"
#include "lora/core/tape.hpp"
#include "lora/frozen/dense_weight.hpp"
#include "lora/frozen/frozen_weight.hpp"
#include "lora/kernels/grouped_low_rank.hpp"
#include "lora/kernels/low_rank_gradients.hpp"
#include "lora/kernels/low_rank_path.hpp"
#include "lora/kernels/product.hpp"
#include "lora/layers/adapter_owner.hpp"
#include "lora/layers/adapter_tensor.hpp"
#include "lora/layers/dora.hpp"
#include "lora/layers/dora_norms.hpp"
#include "lora/layers/factor_marks.hpp"
#include "lora/layers/lora_config.hpp"
#include "lora/layers/lora_embedding_adapter.hpp"
#include "lora/layers/merge_record.hpp"
#include "lora/layers/routed_dora.hpp"
#include "lora/layers/routed_paths.hpp"

namespace lora {

/// What an embedding does besides looking up rows.
struct EmbeddingSettings {
  double scale = 1;                       ///< of every result, as Gemma's sqrt(features)
  std::optional<Index> padding_idx = {};  ///< PyTorch's: an entry whose column of A gets no
                                          ///< gradient; see LoRAEmbedding
};

/// A frozen embedding with a set of trainable low-rank updates, of which one is active, or none
/// (PEFT 0.21's lora.Embedding; Hu et al., "LoRA", 2021): for N ids
///
///     y[n] = scale (E[id] + s A^T[id] B^T)
///
/// E (entries, features) is the table in any storage whose rows can be read; A (rank, entries)
/// starts at zero and B (features, rank) standard normal, the reverse of a LoRALinear.
/// s = alpha / rank or alpha / sqrt(rank). As in PEFT there is no dropout, whatever the settings
/// say, and the entry padding_idx has an update like all others: its column of A gets no gradient,
/// but its tokens count in B's.
///
/// With DoRA (config.use_dora; PEFT's DoraEmbeddingLayer) each feature has a length of its own in
/// the table, m (features):
///
///     y[n] = m / n * scale (E[id] + s A^T[id] B^T),  n_d = the norm of column d of E + s A^T B^T
///
/// lora_bias is refused: PEFT has none here.
///
/// A head that is tied to E keeps E: an adapter does not reach it (PEFT without
/// ensure_weight_tying). merge() changes the table itself, and so a head over the same memory.
///
/// Which calls may run at once: see AdapterOwner. Threads that train one layer at the same time
/// have a tape and Gradients each and call the const backward. A second call of the same shapes
/// allocates nothing. Every check comes before the first change.
template <class T, class Frozen = DenseWeight<T>>
requires RowReadableWeight<Frozen, T>
class LoRAEmbedding : public AdapterOwner<LoRAEmbedding<T, Frozen>, LoRAEmbeddingAdapter<T>> {
  using Owner = AdapterOwner<LoRAEmbedding, LoRAEmbeddingAdapter<T>>;

 public:
  using Scalar = T;
  using Adapter = LoRAEmbeddingAdapter<T>;
  static constexpr const char* kind = "LoRAEmbedding";

  /// Wraps a table (entries, features) without an adapter: a frozen embedding. Throws ConfigError
  /// for a scale that is not finite and a padding_idx that is no entry.
  explicit LoRAEmbedding(Frozen table, const EmbeddingSettings& settings = {})
      : table_(std::move(table)), settings_(settings) {
    check_settings();
  }

  /// Wraps a table with an active adapter called "default", drawn from `seed`. Throws ConfigError
  /// for settings out of range, and as above.
  LoRAEmbedding(Frozen table, const LoRAConfig& config, std::uint64_t seed,
                const EmbeddingSettings& settings = {})
      : Owner(new_adapter(table, config, seed)), table_(std::move(table)), settings_(settings) {
    check_settings();
    complete(this->own_adapter(kind));
  }

  // ---- Computing ----

  /// Computes y (N, features) for N ids. Throws ShapeError for an id that is no entry, and for
  /// memory of another shape.
  void forward(std::span<const int> ids, Output<T> y) const {
    const Place where{"LoRAEmbedding::forward", this->name()};
    check_ids(ids, where);
    const auto adapters = this->adapters();
    const Entry* const used = this->in_use(*adapters, where);
    Scratch scratch;
    const dora::Gains<T> gains = dora_gains(used, true, where, scratch);
    const MatrixRef<T> result = y.shaped(rows_of(ids), features(), where, "y");
    run_forward(ids, used, scratch.matrix<T>(rows_of(ids), this->rank_of(used)), gains, result,
                result);
  }

  /// Computes the same and leaves on the tape what backward needs: A^T[id] (N, rank), and with DoRA
  /// z (N, features). Throws ShapeError, and StateError while merged.
  void forward(std::span<const int> ids, Tape<T>& tape, Output<T> y) const {
    const Place where{"LoRAEmbedding::forward(ids, tape, y)", this->name()};
    this->require_unmerged(where);
    check_ids(ids, where);
    const auto adapters = this->adapters();
    const Entry* const used = this->in_use(*adapters, where);
    Scratch scratch;
    dora::Gains<T> gains = dora_gains(used, false, where, scratch);
    const MatrixRef<T> result = y.shaped(rows_of(ids), features(), where, "y");
    auto& frame = tape.push(this, this->name(), result.rows());
    frame.note_layout(layout_of(ids));
    if (used != nullptr) detail::note_factors(*used->adapter, frame);
    frame.hold(adapters);
    const MatrixRef<T> xa = frame.keep(result.rows(), this->rank_of(used));
    const MatrixRef<T> z = gains.exist() ? gains.keep(result.rows(), frame) : result;
    run_forward(ids, used, xa, gains, z, result);
  }

  /// Computes y (N, features) of a mixed batch: each id with the adapter that `routes` names for
  /// it, of whatever rank and scaling, or with none. Whether an adapter is active does not matter,
  /// but for ids of active_adapters; while adapters are switched off, no id has one. Throws
  /// ShapeError, ConfigError for an adapter that the layer does not have (see AdapterRoutes), and
  /// StateError while merged.
  void forward(std::span<const int> ids, const AdapterRoutes& routes, Output<T> y) const {
    const Place where{"LoRAEmbedding::forward(ids, routes, y)", this->name()};
    const auto adapters = this->routed_set(routes, where);
    Paths paths = routed(*adapters, routes, ids, where);
    Scratch scratch;
    const MatrixRef<T> gains = routed_gains(paths, true, where, scratch);
    const MatrixRef<T> result = y.shaped(rows_of(ids), features(), where, "y");
    paths.make_paths({}, nullptr, settings_.scale);
    run_forward(ids, paths, scratch.matrix<T>(paths.groups().places(), paths.rank()), gains, result,
                result);
  }

  /// Computes the same and leaves on the tape what backward needs, which then adds to the gradients
  /// of every adapter that ids are routed to, as in batches of their own. Throws as above, and
  /// ConfigError where two names are one adapter.
  void forward(std::span<const int> ids, const AdapterRoutes& routes, Tape<T>& tape,
               Output<T> y) const {
    const Place where{"LoRAEmbedding::forward(ids, routes, tape, y)", this->name()};
    const auto adapters = this->routed_set(routes, where);
    Paths paths = routed(*adapters, routes, ids, where);
    paths.require_distinct(where);
    Scratch scratch;
    const MatrixRef<T> gains = routed_gains(paths, false, where, scratch);
    const MatrixRef<T> result = y.shaped(rows_of(ids), features(), where, "y");
    auto& frame = tape.push(this, this->name(), result.rows());
    frame.note_layout(layout_of(ids));
    paths.for_each([&](const Entry& entry) { detail::note_factors(*entry.adapter, frame); });
    frame.hold(adapters);
    frame.hold(routes.layout());
    static constexpr RoutedBackward routed_backward = &LoRAEmbedding::run_routed_backward;
    frame.note_backward(&routed_backward);
    paths.make_paths({}, nullptr, settings_.scale);
    const MatrixRef<T> xa = frame.keep(paths.groups().places(), paths.rank());
    run_forward(ids, paths, xa, gains,
                RoutedDora<T, Adapter>::keep_gains(gains, result.rows(), result, frame), result);
  }

  /// Adds to the gradients of A and B for dy (N, features): with g = dy B,
  ///
  ///     dB += scale s dy^T A^T[ids],  dA[:, id_n] += scale s g[n]  in the order of the tokens
  ///
  /// With DoRA m / n dy takes the place of dy here, and dm += sum over tokens of dy z / n.
  /// The ids are the forward's and the layer is as it was then: StateError otherwise, before
  /// anything changes. Throws ShapeError too.
  void backward(std::span<const int> ids, ConstMatrixRef<T> dy, Tape<T>& tape) {
    run_backward(ids, dy, tape, GradientTarget<T>::own());
  }

  /// Does the same, but adds to `gradients`, a `Gradients<T>` made from parameters(): what threads
  /// that train one layer call, each with its own.
  void backward(std::span<const int> ids, ConstMatrixRef<T> dy, Tape<T>& tape,
                GradientTarget<T> gradients) const {
    run_backward(ids, dy, tape, gradients);
  }

  // ---- The adapter ----

  /// Returns the factors of the active adapter, for reading gradients and for setting values. Use
  /// replace_adapter to change the settings. Throws StateError if there is none.
  [[nodiscard]] Parameter<T>& lora_A() { return this->own_adapter("lora_A").a(); }
  [[nodiscard]] Parameter<T>& lora_B() { return this->own_adapter("lora_B").b(); }
  [[nodiscard]] const Parameter<T>& lora_A() const { return this->adapter().a(); }
  [[nodiscard]] const Parameter<T>& lora_B() const { return this->adapter().b(); }

  /// Returns the magnitudes m (1, features) of the active adapter, which are empty without DoRA.
  /// Throws StateError if there is none.
  [[nodiscard]] Parameter<T>& lora_magnitude() {
    return this->own_adapter("lora_magnitude").magnitude();
  }
  [[nodiscard]] const Parameter<T>& lora_magnitude() const { return this->adapter().magnitude(); }

  /// Lists the tensors that an adapter of these settings has, as PEFT has them: no ".weight".
  [[nodiscard]] std::vector<AdapterTensor<T>> adapter_tensors(const LoRAConfig& config) const {
    const Adapter& adapter = this->adapter();
    std::vector<AdapterTensor<T>> tensors{
        {".lora_embedding_A", {config.rank, entries()}, &adapter.a()},
        {".lora_embedding_B", {features(), config.rank}, &adapter.b()}};
    if (config.use_dora) tensors.push_back({magnitude_suffix, {features()}, &adapter.magnitude()});
    return tensors;
  }

  using Owner::replace_adapter;

  /// Replaces the active adapter by one of these settings and values, one for each of
  /// adapter_tensors(config). Throws ShapeError for another number of them, and what the
  /// replace_adapter that takes an adapter throws.
  void replace_adapter(const LoRAConfig& config, std::vector<Matrix<T>> values) {
    this->check_replace(config);
    const std::string where = this->at("replace_adapter");
    if (values.size() != (config.use_dora ? 3 : 2))
      throw ShapeError(message(where, ": ", values.size(), " values, expected A and B",
                               config.use_dora ? ", and the magnitudes" : ""));
    require_factors(values[0], values[1], config.rank, where);
    const auto adapters = this->adapters();  // keeps what another thread may replace meanwhile
    const std::uint64_t seed = Owner::require_active(*adapters, where).adapter->seed();
    Adapter adapter(config, std::move(values[0]), std::move(values[1]), seed);
    if (config.use_dora) {
      require_shape(values[2], 1, features(), where, "magnitude", "1", "features");
      adapter.set_magnitude(std::move(values[2]));
    }
    replace_adapter(std::move(adapter));
  }

  // ---- Merging ----

  /// Adds s A^T B^T to the table in place, with DoRA gives its columns their lengths, after which
  /// forward only looks rows up. Whatever else reads this memory, such as a tied head, sees the sum
  /// too. Throws StateError if merged already, without an adapter that is switched on, or if the
  /// memory is read-only.
  void merge(MergeMode mode = MergeMode::reversible) requires MergeableWeight<Frozen, T> {
    const std::string where = this->at("merge");
    if (merged()) throw StateError(message(where, ": the adapter is merged already"));
    const auto adapters = this->adapters();
    const Entry& entry = this->require_in_use(*adapters, where);
    if (!table_.writable())
      throw StateError(message(where,
                               ": the table's memory is read-only; merged_weight() gives the "
                               "merged table as a matrix of its own"));
    Scratch scratch;
    const dora::Gains<T> gains = dora_gains(&entry, false, where, scratch);
    if (gains.exist()) return record_.merge(table_, with_update(&entry, gains), mode);
    const Matrix<T> at = entry.adapter->a().value.transpose();
    const Matrix<T> bt = entry.adapter->b().value.transpose();
    record_.merge(table_, static_cast<T>(entry.scaling()), at, bt, mode);
  }

  /// Gives the table back the bits that it had before merge(). Throws StateError unless merged
  /// reversibly, and if the table is not what merge() left.
  void unmerge() requires MergeableWeight<Frozen, T> {
    record_.unmerge(table_, this->at("unmerge"));
  }

  [[nodiscard]] bool merged() const { return record_.merged(); }

  /// Returns s A^T B^T (entries, features) of the active adapter, without `scale`: PEFT's
  /// get_delta_weight. With DoRA it is what merge() adds, where PEFT gives s A^T B^T. Throws
  /// StateError without an adapter that is switched on, and with DoRA while merged, where the table
  /// that it would be a difference to is not there.
  [[nodiscard]] Matrix<T> delta_weight() const {
    const Place where{"LoRAEmbedding::delta_weight", this->name()};
    const auto adapters = this->adapters();
    const Entry& entry = this->require_in_use(*adapters, where);
    if (merged() && dora::is_used_by(&entry))
      throw StateError(message(where,
                               ": the adapter has DoRA and is merged, and its update is a "
                               "difference to the table without it: unmerge() first"));
    Scratch scratch;
    const dora::Gains<T> gains = dora_gains(&entry, false, where, scratch);
    if (gains.exist()) return with_update(&entry, gains) - table_.dense();
    Matrix<T> delta = Matrix<T>::Zero(entries(), features());
    add_update(entry, delta);
    return delta;
  }

  /// Returns E + s A^T B^T (entries, features), with DoRA its columns at their lengths, without
  /// `scale`; while merged, E as it is. Throws StateError without an adapter that is switched on.
  [[nodiscard]] Matrix<T> merged_weight() const {
    const Place where{"LoRAEmbedding::merged_weight", this->name()};
    const auto adapters = this->adapters();
    const Entry* const entry = merged() ? nullptr : &this->require_in_use(*adapters, where);
    Scratch scratch;
    return with_update(entry, dora_gains(entry, false, where, scratch));
  }

  /// Returns the table that forward looks rows up in, without `scale`: what merged_weight returns
  /// with the adapter in use, or E.
  [[nodiscard]] Matrix<T> weight_in_use() const {
    const Place where{"LoRAEmbedding::weight_in_use", this->name()};
    const auto adapters = this->adapters();
    const Entry* const used = this->in_use(*adapters, where);
    Scratch scratch;
    return with_update(used, dora_gains(used, false, where, scratch));
  }

  // ---- What it is made of ----

  [[nodiscard]] Index entries() const { return table_.out_features(); }
  [[nodiscard]] Index features() const { return table_.in_features(); }
  [[nodiscard]] const Frozen& weight() const { return table_; }
  [[nodiscard]] const EmbeddingSettings& settings() const { return settings_; }

  /// Lists what trains: A, B and with DoRA m of the active adapter.
  [[nodiscard]] ParameterList<T> parameters() {
    if (!this->has_adapter()) return {};
    return this->own_adapter("parameters").parameters();
  }

  /// Lists what trains in mixed batches that are routed to these adapters: their A, B and m. Each
  /// adapter needs an optimizer of its own, because the parameters of all adapters of a layer have
  /// the same names. Throws ConfigError for an adapter that is not there.
  [[nodiscard]] ParameterList<T> parameters(const std::vector<std::string>& adapter_names) {
    const std::string where = this->at("parameters");
    const auto adapters = this->adapters();
    ParameterList<T> list;
    for (const std::string& name : adapter_names)
      // The layer is not const and made the adapter, which is const to all who only share it.
      list.add(const_cast<Adapter&>(*adapters->at(name, where).adapter).parameters());
    return list;
  }

  /// Returns the number of scalars that train: rank (entries + features) of the active adapter,
  /// and features of DoRA.
  [[nodiscard]] Index trainable_parameters() const {
    const auto adapters = this->adapters();
    const Entry* const active = adapters->active();
    return active != nullptr ? active->adapter->size() : 0;
  }

  /// Returns the number of scalars of the table and all adapters together.
  [[nodiscard]] Index total_parameters() const {
    Index sum = entries() * features();
    const auto set = this->adapters();  // keeps the entries while the loop reads them
    for (const Entry& entry : set->entries()) sum += entry.adapter->size();
    return sum;
  }

 private:
  friend Owner;

  using Set = typename Owner::Set;
  using Entry = typename Set::Entry;
  using Paths = RoutedPaths<T, Adapter>;

  // ---- What AdapterOwner asks for ----

  static Adapter new_adapter(const Frozen& table, const LoRAConfig& config, std::uint64_t seed) {
    check_config(config, kind);
    return Adapter(table.out_features(), table.in_features(), config, seed);
  }

  [[nodiscard]] Adapter make_adapter(const LoRAConfig& config, std::uint64_t seed) const {
    return new_adapter(table_, config, seed);
  }

  template <class Where>
  static void check_config(const LoRAConfig& config, const Where& where) {
    validate(config, where);
    if (config.train_bias)
      throw ConfigError(message(where, ": train_bias is set, but an embedding has no bias"));
    if (config.lora_bias)
      throw ConfigError(message(where, ": lora_bias is set, which embeddings do not have in PEFT"));
    if (config.freeze_a)
      throw ConfigError(message(where, ": freeze_a is set, which only linear layers have"));
    if (changes_base(config.init))
      throw ConfigError(message(where, ": init is ", name_of(config.init),
                                ", which an embedding cannot start with"));
  }

  template <class Where>
  void check_adapter(const LoRAConfig& config, const Where& where) const {
    check_config(config, where);
  }

  template <class Where>
  void check_shape(const Adapter& adapter, const Where& where) const {
    require_factors(adapter.a().value, adapter.b().value, adapter.rank(), where);
    if (adapter.config().use_dora && adapter.has_magnitude())
      require_shape(adapter.magnitude().value, 1, features(), where, "magnitude", "1", "features");
  }

  // Lets magnitudes that an adapter lacks begin as the norms that they are divided by.
  void complete(Adapter& adapter) const {
    if (!adapter.config().use_dora || adapter.has_magnitude()) return;
    Matrix<T> norms(1, features());
    norms_.compute(table_, adapter.a().value, adapter.b().value,
                   static_cast<T>(adapter.config().scaling()), norms.data());
    adapter.set_magnitude(std::move(norms));
  }
  void name_others(bool) {}

  // ---- Checks ----

  void check_settings() const {
    require_finite(settings_.scale, kind, "scale");
    const auto& padding = settings_.padding_idx;
    if (padding && (*padding < 0 || *padding >= entries()))
      throw ConfigError(message(kind, ": padding_idx is ", *padding, ", expected an entry in [0, ",
                                entries(), ")"));
  }

  template <class A, class Where>
  void require_factors(const A& a, const A& b, Index rank, const Where& where) const {
    require_shape(a, rank, entries(), where, "a", "rank", "entries");
    require_shape(b, features(), rank, where, "b", "features", "rank");
  }

  template <class Where>
  void check_ids(std::span<const int> ids, const Where& where) const {
    for (std::size_t i = 0; i < ids.size(); ++i)
      if (ids[i] < 0 || ids[i] >= entries())
        throw ShapeError(message(where, ": id ", i, " is ", ids[i], ", expected an entry in [0, ",
                                 entries(), ")"));
  }

  [[nodiscard]] static Index rows_of(std::span<const int> ids) {
    return static_cast<Index>(ids.size());
  }

  static std::uint64_t layout_of(std::span<const int> ids) {
    std::uint64_t hash = 0xCBF29CE484222325;  // FNV-1a over words
    for (const int id : ids) hash = (hash ^ static_cast<std::uint64_t>(id)) * 0x100000001B3;
    return hash;
  }

  // ---- Computing ----

  [[nodiscard]] T path_scale(const Entry& used) const {
    return static_cast<T>(used.scaling() * settings_.scale);
  }

  // ---- DoRA ----

  // The gains of an adapter with DoRA, in memory of `scratch`; see LoRAOverWeight.
  template <class Where>
  [[nodiscard]] dora::Gains<T> dora_gains(const Entry* used, bool remember, const Where& where,
                                          Scratch& scratch) const {
    if (!dora::is_used_by(used)) return {};
    const MatrixRef<T> rows = scratch.matrix<T>(2, features());
    write_gains(*used, remember, where, rows);
    return {rows};
  }

  template <class Where>
  void write_gains(const Entry& used, bool remember, const Where& where, MatrixRef<T> rows) const {
    const Adapter& adapter = *used.adapter;
    const auto &a = adapter.a().value, &b = adapter.b().value;
    const T s = static_cast<T>(used.scaling());
    T* const norms = rows.data() + rows.outerStride();
    if (remember)
      norms_.recall(table_, a, b, s, norms);
    else
      norms_.compute(table_, a, b, s, norms);
    dora::to_gains<T>(adapter.magnitude().value.data(), rows, where);
  }

  // The same of all adapters with DoRA that ids are routed to, (2 count, features).
  template <class Where>
  [[nodiscard]] MatrixRef<T> routed_gains(const Paths& paths, bool remember, const Where& where,
                                          Scratch& scratch) const {
    return RoutedDora<T, Adapter>::make_gains(
        paths, features(), scratch,
        [&](const Entry& entry, MatrixRef<T> rows) { write_gains(entry, remember, where, rows); });
  }

  // ---- Computing ----

  // Computes y = scale E[ids].
  void look_up(std::span<const int> ids, MatrixRef<T> y) const {
    const T scale = static_cast<T>(settings_.scale);
    for_each_row(y.rows(), y.cols(), 16, [&](Index n) {
      T* const row = y.data() + n * y.outerStride();
      table_.copy_row(ids[static_cast<std::size_t>(n)], row);
      if (settings_.scale != 1) y.row(n) *= scale;
    });
  }

  // z is where that stands which the gains multiply: y, or memory of the tape.
  void run_forward(std::span<const int> ids, const Entry* used, MatrixRef<T> xa,
                   const dora::Gains<T>& gains, MatrixRef<T> z, MatrixRef<T> y) const {
    look_up(ids, z);
    if (used == nullptr) return;
    const auto& a = used->adapter->a().value;
    for_each_row(xa.rows(), xa.cols(), 64,
                 [&](Index n) { xa.row(n) = a.col(ids[static_cast<std::size_t>(n)]).transpose(); });
    add_product(z, path_scale(*used), xa, used->adapter->b().value.transpose());
    if (gains.exist()) dora::scale_outputs<T>(z, gains.gain(), nullptr, y);
  }

  void run_backward(std::span<const int> ids, ConstMatrixRef<T> dy, Tape<T>& tape,
                    GradientTarget<T> target) const {
    const Place where{"LoRAEmbedding::backward", this->name()};
    this->require_unmerged(where);
    require_shape(dy, rows_of(ids), features(), where, "dy", "ids", "features");
    auto& frame = tape.top(this, dy.rows(), where);
    if (frame.layout() != layout_of(ids))
      throw StateError(message(where,
                               ": the ids are not those of the forward on the tape: keep them as "
                               "they are until backward"));
    if (const auto* routed = frame.template noted_backward<RoutedBackward>())
      return (this->**routed)(ids, dy, tape, frame, target, where);
    const auto adapters = this->adapters();
    Owner::require_same(*static_cast<const Set*>(frame.held().get()), *adapters, where);
    const Entry* const used = this->in_use(*adapters, where);
    if (used == nullptr) return tape.pop();
    const auto &a = used->adapter->a(), &b = used->adapter->b();
    detail::require_noted_factors(*used->adapter, frame, 0, where);
    MatrixRef<T> da = target.of(a);
    const MatrixRef<T> db = target.of(b);
    const bool with_dora = dora::is_used_by(used);
    const MatrixRef<T> dm =
        with_dora ? target.of(used->adapter->magnitude()) : MatrixRef<T>(nullptr, 0, 0, 0);

    const T s = path_scale(*used);
    Scratch scratch;
    const ConstMatrixRef<T> dz = dora::backward<T>(dy, frame, with_dora ? 1 : 0, dm, scratch);
    MatrixRef<T> g = scratch.matrix<T>(dy.rows(), this->rank_of(used));
    low_rank_path::gradient_of_xa<T>(dz, b.value, g);
    const low_rank_path::Gradients<T> path{g, dz, frame.kept(), s, da.leftCols(0), db};
    low_rank_path::add_gradients<T>(g.leftCols(0), std::span(&path, 1));
    add_at_ids(ids, s, g, da);
    tape.pop();
  }

  // da[:, id_n] += s g[n], token after token. A row of A is one thread's.
  void add_at_ids(std::span<const int> ids, T s, const ConstMatrixRef<T>& g,
                  MatrixRef<T> da) const {
    const double work = 16 * static_cast<double>(g.rows()) * static_cast<double>(g.cols());
    parallel_for(g.cols(), threads_for(g.cols(), work), [&](Index r) {
      T* const row = da.data() + r * da.outerStride();
      for (Index n = 0; n < g.rows(); ++n) {
        const Index id = ids[static_cast<std::size_t>(n)];
        if (id != settings_.padding_idx) row[id] += s * g(n, r);
      }
    });
  }

  // ---- Mixed batches ----

  template <class Where>
  [[nodiscard]] Paths routed(const Set& adapters, const AdapterRoutes& routes,
                             std::span<const int> ids, const Where& where) const {
    if (routes.rows() != rows_of(ids))
      throw ShapeError(message(where, ": ", ids.size(), " ids, expected the ", routes.rows(),
                               " rows of the routes"));
    check_ids(ids, where);
    return Paths(adapters, *routes.layout(), routes.layers_may_lack_adapters(), where,
                 [&](const Adapter& adapter) { check_shape(adapter, where); });
  }

  // Calls use(path, id, row of `m`) for every place, m (places, the largest rank), in parallel.
  template <class Use>
  static void for_each_place(std::span<const int> ids, const Paths& paths, MatrixRef<T> m,
                             const Use& use) {
    const auto& bands = paths.groups().bands();
    const auto tasks = static_cast<Index>(bands.size());
    const double work = 64 * static_cast<double>(m.rows()) * static_cast<double>(m.cols());
    parallel_for(tasks, threads_for(tasks, work), [&](Index task) {
      const RowGroups::Run& band = bands[static_cast<std::size_t>(task)];
      const auto& path = paths.paths()[static_cast<std::size_t>(band.group)];
      for (Index place = band.first; place < band.first + band.count; ++place)
        use(path, ids[static_cast<std::size_t>(paths.groups().row(place))],
            m.data() + place * m.outerStride());
    });
  }

  void run_forward(std::span<const int> ids, const Paths& paths, MatrixRef<T> xa,
                   MatrixRef<T> gains, MatrixRef<T> z, MatrixRef<T> y) const {
    look_up(ids, z);
    for_each_place(ids, paths, xa, [](const auto& path, int id, T* to) {
      for (Index r = 0; r < path.a.rows(); ++r) to[r] = path.a(r, id);
    });
    grouped_low_rank::add_to_y<T>(paths.groups(), paths.paths(), xa, z);
    if (gains.rows() > 0) RoutedDora<T, Adapter>(paths, gains).scale_outputs(z, nullptr, y);
  }

  using RoutedBackward = void (LoRAEmbedding::*)(std::span<const int>, ConstMatrixRef<T>, Tape<T>&,
                                                 typename Tape<T>::Frame&, GradientTarget<T>,
                                                 const Place&) const;

  void run_routed_backward(std::span<const int> ids, ConstMatrixRef<T> dy, Tape<T>& tape,
                           typename Tape<T>::Frame& frame, GradientTarget<T> target,
                           const Place& where) const {
    const auto& then = *static_cast<const Set*>(frame.held(0).get());
    const auto& layout = *static_cast<const AdapterRoutes::Layout*>(frame.held(1).get());
    const auto adapters = this->adapters();
    Paths::require_same(then, *adapters, layout, where);
    Paths paths(*adapters, layout, true, where,
                [&](const Adapter& adapter) { check_shape(adapter, where); });
    std::size_t mark = 0;
    paths.for_each([&](const Entry& entry) {
      detail::require_noted_factors(*entry.adapter, frame, mark, where);
      mark += detail::factor_marks(*entry.adapter);
    });
    paths.make_paths({}, &target, settings_.scale);
    std::optional<RoutedDora<T, Adapter>> dora;
    if (RoutedDora<T, Adapter>::is_used(paths)) dora.emplace(paths, frame.kept(1), &target);
    const RowGroups& groups = paths.groups();
    Scratch scratch;
    const MatrixRef<T> g = scratch.matrix<T>(groups.places(), paths.rank());
    const ConstMatrixRef<T> dz =
        dora ? ConstMatrixRef<T>(dora->backward(dy, frame.kept(2), scratch)) : dy;
    grouped_low_rank::gradient_of_xa<T>(groups, paths.paths(), dz, g);
    grouped_low_rank::add_gradients_of_b<T>(groups, paths.paths(), dz, frame.kept());
    add_at_ids(ids, paths, g);
    tape.pop();
  }

  // The same as below of every group. A row of a group's A is one thread's.
  void add_at_ids(std::span<const int> ids, const Paths& paths, const ConstMatrixRef<T>& g) const {
    const RowGroups& groups = paths.groups();
    const Index tasks = static_cast<Index>(groups.groups().size()) * paths.rank();
    const double work = 16 * static_cast<double>(g.rows()) * static_cast<double>(g.cols());
    parallel_for(tasks, threads_for(tasks, work), [&](Index task) {
      const Index r = task % paths.rank();
      const RowGroups::Run& group = groups.groups()[static_cast<std::size_t>(task / paths.rank())];
      const auto& path = paths.paths()[static_cast<std::size_t>(group.group)];
      if (r >= path.a.rows()) return;
      T* const row = MatrixRef<T>(path.da).data() + r * path.da.outerStride();
      for (Index place = group.first; place < group.first + group.count; ++place) {
        const Index id = ids[static_cast<std::size_t>(groups.row(place))];
        if (id != settings_.padding_idx) row[id] += path.s * g(place, r);
      }
    });
  }

  // ---- Merging ----

  // Adds s A^T B^T of `entry` to out.
  void add_update(const Entry& entry, MatrixRef<T> out) const {
    const auto &a = entry.adapter->a().value, &b = entry.adapter->b().value;
    add_product(out, static_cast<T>(entry.scaling()), a.transpose(), b.transpose());
  }

  [[nodiscard]] Matrix<T> with_update(const Entry* entry, const dora::Gains<T>& gains) const {
    Matrix<T> sum = table_.dense();
    if (entry != nullptr) add_update(*entry, sum);
    for (Index i = 0; gains.exist() && i < sum.rows(); ++i)
      for (Index j = 0; j < sum.cols(); ++j) sum(i, j) *= gains.gain()[j];
    return sum;
  }

  Frozen table_;
  EmbeddingSettings settings_;
  MergeRecord<T> record_;
  DoraNorms<T, ColumnsOfTable> norms_;
};

}  // namespace lora

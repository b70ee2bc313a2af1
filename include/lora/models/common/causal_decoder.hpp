#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "lora/core/place.hpp"
#include "lora/core/scratch.hpp"
#include "lora/models/common/adapted_model.hpp"
#include "lora/models/common/causal_tape.hpp"
#include "lora/models/common/decoder_rows.hpp"
#include "lora/models/common/invocation.hpp"
#include "lora/models/common/language_ends.hpp"
#include "lora/models/common/layer_stack.hpp"
#include "lora/models/common/new_tokens.hpp"
#include "lora/models/common/routed_head.hpp"
#include "lora/models/common/text_routes.hpp"
#include "lora/nn/language_model_loss.hpp"

namespace lora::models {

/// The sizes of a causal language model that do not depend on its family.
struct DecoderSizes {
  Index vocab_size = 0;    ///< V
  Index features = 0;      ///< D, of hidden states
  Index layers = 0;        ///< L
  Index key_features = 0;  ///< of one layer's keys, and of its values
  Index positions = 0;     ///< the most tokens of a text
};

/// A causal language model: embeddings, positions, blocks, a last norm, and a head. `Model` is the
/// family's class, which derives from it; `Parts` says what that is made of:
///
///     Scalar, FrozenStorage, Config
///     Block                    see LayerStack; decode(x, angles, counts, cache, layer, y, routes)
///     Norm                     a ModulePreNorm
///     Positions                RotaryPositions or LearnedPositions
///     name                     the model's in messages
///     sizes(config)            DecoderSizes
///     block(builder, config, i), norm(builder, config), positions(builder, config)
///
/// Rows are the tokens of a batch, text after text; N is their number, V the vocabulary's. With
/// alora_invocation_tokens the adapter acts from the last place on where a text has these, see
/// Invocation, so what the cache has of the tokens before them is the base model's.
///
/// Const calls may come from several threads at once, each with a tape, Gradients or cache of its
/// own where they take them. A second call of the same shapes allocates nothing, but for the rows
/// that alora_invocation_tokens choose.
template <class Model, class Parts>
class CausalDecoder : public AdaptedModel<typename Parts::Scalar, Model, typename Parts::Config> {
  using T = typename Parts::Scalar;
  using Config = typename Parts::Config;
  using Base = AdaptedModel<T, Model, Config>;

 public:
  using FrozenStorage = typename Parts::FrozenStorage;

  /// Returns the sizes that the decoder was built with.
  [[nodiscard]] const DecoderSizes& sizes() const { return sizes_; }
  [[nodiscard]] Index vocab_size() const { return sizes_.vocab_size; }

  /// Returns the most tokens that a text may have.
  [[nodiscard]] Index max_positions() const { return sizes_.positions; }

  /// Computes the last hidden states (N, D), after the last norm and without dropout. Throws
  /// ShapeError for an id or a length that the model does not have.
  void forward(const CausalBatch& batch, Output<T> hidden) const {
    Scratch scratch;
    const MatrixRef<T> out = hidden.shaped(batch.tokens(), features(), forward_place(), "hidden");
    norm_.forward(run(batch, nullptr, scratch), nullptr, out);
  }

  /// Computes a mixed batch: each text with the adapter that `routes` name for it, or none. They
  /// must be bound (AdapterRegistry::bind), so that all layers have the adapters of one moment.
  /// Throws StateError if they are not, ShapeError unless they are of as many texts, and as above.
  void forward(const CausalBatch& batch, const AdapterRoutes& routes, Output<T> hidden) const {
    check_routes(routes, batch.sequences().size(), forward_place().call);
    const AdapterRoutes rows = row_routes(routes, batch.sequences());
    Scratch scratch;
    const MatrixRef<T> out = hidden.shaped(batch.tokens(), features(), forward_place(), "hidden");
    norm_.forward(run(batch, nullptr, scratch, &rows), nullptr, out);
  }

  /// Computes the same with dropout, and keeps on the tape what backward needs.
  void forward(const CausalBatch& batch, CausalTape<T>& tape, Output<T> hidden) const {
    begin(batch, tape);
    const MatrixRef<T> out = hidden.shaped(batch.tokens(), features(), forward_place(), "hidden");
    auto& frame = tape.frames.push(this, Parts::name, batch.tokens());
    Scratch scratch;
    const MatrixRef<T> last = run(tape.batch, &tape, scratch);
    const MatrixRef<T> kept = frame.keep(last.rows(), last.cols());
    copy(last, kept);
    norm_.forward(kept, &tape.frames, out);
  }

  /// Adds to the gradients of what trains but the head, from dhidden (N, D) of the forward's
  /// result. Throws ShapeError, and StateError without a forward, before anything changes.
  void backward(ConstMatrixRef<T> dhidden, CausalTape<T>& tape) {
    backward_hidden(dhidden, tape, GradientTarget<T>::own());
  }

  /// Does the same, but adds to `gradients`, made from parameters(): what threads that train one
  /// model call, each with a tape and gradients of its own.
  void backward(ConstMatrixRef<T> dhidden, CausalTape<T>& tape, Gradients<T>& gradients) const {
    backward_hidden(dhidden, tape, gradients);
  }

  /// Computes the logits (N, V) of every token, without dropout. Throws as forward.
  void logits(const CausalBatch& batch, Output<T> logits) const {
    Scratch scratch;
    const MatrixRef<T> hidden = scratch.matrix<T>(batch.tokens(), features());
    forward(batch, hidden);
    ends_.with_head([&](const auto& head) { head.forward(hidden, logits); });
  }

  /// Computes the logits of a mixed batch; see forward.
  void logits(const CausalBatch& batch, const AdapterRoutes& routes, Output<T> logits) const {
    Scratch scratch;
    const MatrixRef<T> hidden = scratch.matrix<T>(batch.tokens(), features());
    forward(batch, routes, hidden);
    const AdapterRoutes rows = row_routes(routes, batch.sequences());
    run_head(hidden, &rows, logits);
  }

  /// Computes the loss of next tokens with dropout, and keeps on the tape what backward needs.
  /// `labels` stand beside the batch's tokens, as in transformers: each is predicted by the token
  /// before it, a text's first is not used, and ignored_label counts nothing. The gradients are
  /// those of the sum over `total`, the labels that count in a batch that goes through in parts;
  /// of the mean if left out. Only rows with a label pass the head and most of the last layer.
  ///
  /// The gradients of the head itself, where it trains, are added at once, the others by backward.
  /// Throws ShapeError, and ConfigError where no label counts, before anything changes.
  [[nodiscard]] LanguageModelLoss loss(const CausalBatch& batch, std::span<const int> labels,
                                       CausalTape<T>& tape, std::optional<Index> total = {}) {
    return run_loss(batch, labels, tape, total, GradientTarget<T>::own());
  }

  /// Does the same, but adds to `gradients`, made from parameters().
  [[nodiscard]] LanguageModelLoss loss(const CausalBatch& batch, std::span<const int> labels,
                                       CausalTape<T>& tape, std::optional<Index> total,
                                       Gradients<T>& gradients) const {
    return run_loss(batch, labels, tape, total, gradients);
  }

  /// Does the same of a mixed batch: each text with the adapter that `routes` name for it, or none;
  /// see forward. backward adds to the gradients of every adapter that texts are routed to, which
  /// AdapterRegistry::parameters lists, but to those of an adapted head at once.
  [[nodiscard]] LanguageModelLoss loss(const CausalBatch& batch, std::span<const int> labels,
                                       const AdapterRoutes& routes, CausalTape<T>& tape,
                                       std::optional<Index> total = {}) {
    return run_loss(batch, labels, tape, total, GradientTarget<T>::own(), &routes);
  }

  /// Does the same, but adds to `gradients`, made from those parameters.
  [[nodiscard]] LanguageModelLoss loss(const CausalBatch& batch, std::span<const int> labels,
                                       const AdapterRoutes& routes, CausalTape<T>& tape,
                                       std::optional<Index> total, Gradients<T>& gradients) const {
    return run_loss(batch, labels, tape, total, gradients, &routes);
  }

  /// Computes the loss without dropout and without gradients, as for perplexity.
  [[nodiscard]] LanguageModelLoss loss(const CausalBatch& batch,
                                       std::span<const int> labels) const {
    Scratch scratch;
    const MatrixRef<T> hidden = scratch.matrix<T>(batch.tokens(), features());
    std::vector<int> next;
    next_token_labels(labels, batch.sequences(), next);
    forward(batch, hidden);
    return ends_.with_head(
        [&](const auto& head) { return language_model_loss<T>(head, hidden, next); });
  }

  /// Adds to the gradients of what trains below the head, after loss with this tape. Throws
  /// StateError without it.
  void backward(CausalTape<T>& tape) { backward_loss(tape, GradientTarget<T>::own()); }

  /// Does the same, but adds to `gradients`, made from parameters().
  void backward(CausalTape<T>& tape, Gradients<T>& gradients) const {
    backward_loss(tape, gradients);
  }

  /// Makes room for the keys and values of so many texts of up to `capacity` tokens.
  [[nodiscard]] KVCache<T> make_cache(Index texts, Index capacity) const {
    return KVCache<T>(std::max<Index>(1, sizes_.layers), texts, capacity, sizes_.key_features);
  }

  /// Forgets what the cache holds of text `b`, and tells it the whole of what comes in parts from
  /// now on: under aLoRA the adapter begins at the last invocation in it. Throws ShapeError for a
  /// text that the cache does not have.
  void expect_prompt(Index b, std::span<const int> prompt, KVCache<T>& cache) const {
    cache.truncate(b, 0);
    if (invocation_.exists()) invocation_.expect(b, prompt, cache);
  }

  /// Computes the logits after new tokens of texts whose beginnings are in the cache: counts[b] of
  /// text b, 0 to leave it alone, one after the other in `ids`. logits gets a row (V) for each text
  /// with new tokens, after its last. Throws ShapeError for an id that the vocabulary, or a length
  /// that the cache or the model does not have; the cache is then as it was.
  void next_logits(std::span<const int> ids, std::span<const int> counts, KVCache<T>& cache,
                   Output<T> logits) const {
    run_next(ids, counts, cache, nullptr, logits);
  }

  /// Does the same of texts with an adapter each, or none: `routes` are bound and of as many texts
  /// as the cache; see forward. A text must keep its adapter from its first token on, because the
  /// cache has the keys and values that it gave.
  void next_logits(std::span<const int> ids, std::span<const int> counts, KVCache<T>& cache,
                   const AdapterRoutes& routes, Output<T> logits) const {
    check_routes(routes, static_cast<Index>(counts.size()), "CausalDecoder::next_logits");
    run_next(ids, counts, cache, &routes, logits);
  }

  /// Calls action(layer) with each LoRALinear and LoRAEmbedding that has an adapter.
  template <class Action>
  void for_each_adapted(const Action& action) {
    positions_.for_each_adapted(action);
    stack_.for_each_adapted(action);
    ends_.for_each_adapted(action);
  }

  /// Calls action(tokens) with each TrainableTokens: rows of embeddings and head that train.
  template <class Action>
  void for_each_trainable_tokens(const Action& action) {
    positions_.for_each_trainable_tokens(action);
    ends_.for_each_trainable_tokens(action);
  }

  /// Adds what trains; see AdaptedModel.
  void list(ModelParameters<T>& list) {
    stack_.list(list);
    norm_.list(list);
    ends_.list(list);
    positions_.list(list);
  }

 protected:
  /// Builds the model. Throws FileError and ConfigError.
  CausalDecoder(const ModelSource<T, Config>& source, ModelBuilder<T> builder,
                const LanguageEndsNames& ends, bool recompute)
      : Base(source),
        sizes_(Parts::sizes(source.config)),
        ends_(builder, ends),
        positions_(Parts::positions(builder, source.config)),
        stack_(blocks_of(builder, source.config), sizes_.features, below_trains(), recompute),
        norm_(Parts::norm(builder, source.config)),
        invocation_(source.plan.peft_config().alora_invocation_tokens) {
    this->tie_adapters(*this);
    this->finish_loading();
  }

 private:
  using Block = typename Parts::Block;

  static std::vector<Block> blocks_of(ModelBuilder<T>& builder, const Config& config) {
    if (builder.plan.bottleneck() > 0)
      throw ConfigError(std::string(Parts::name) + ": BottleneckAdapters are not built here");
    std::vector<Block> blocks;
    const Index count = Parts::sizes(config).layers;
    for (Index i = 0; i < count; ++i) blocks.push_back(Parts::block(builder, config, i));
    return blocks;
  }

  [[nodiscard]] Index features() const { return sizes_.features; }

  [[nodiscard]] static Place place(const char* call) { return {call, Parts::name}; }
  [[nodiscard]] static Place forward_place() { return place("CausalDecoder::forward"); }
  [[nodiscard]] static Place backward_place() { return place("CausalDecoder::backward"); }

  static void copy(ConstMatrixRef<T> from, MatrixRef<T> to) { to = from; }

  void check_cache(const KVCache<T>& cache, const Place& where) const {
    if (cache.layers() != std::max<Index>(1, sizes_.layers) ||
        cache.features() != sizes_.key_features)
      throw ShapeError(message(where, ": the cache has ", cache.layers(), " layers of ",
                               cache.features(), " features, expected one of make_cache"));
  }

  // Throws what require_text_routes throws, and StateError where tokens route the rows, or the
  // routes do not say whose rows of tokens a text has.
  void check_routes(const AdapterRoutes& routes, Index texts, std::string_view where) const {
    if (invocation_.exists())
      throw StateError(message(where,
                               ": the adapter has alora_invocation_tokens, which route the "
                               "rows: texts cannot choose theirs"));
    refuse_active_tokens(this->peft_config(), routes, where);
    require_text_routes(routes, texts, where);
  }

  void begin(const CausalBatch& batch, CausalTape<T>& tape) const {
    batch.require(vocab_size(), max_positions(), forward_place());
    tape.clear();
    if (&batch != &tape.batch) tape.batch = batch;
    if (!invocation_.exists()) return;
    const AdapterRoutes rows = invocation_.rows(tape.batch.ids(), tape.batch.sequences());
    tape.routes.assign(rows, rows, rows);
  }

  // Tells whether embeddings and positions keep something for a backward.
  [[nodiscard]] bool below_trains() const { return ends_.trains() || positions_.trains(); }

  // Computes the angles of one text.
  void turn(std::span<const int> positions, Index first, Index count, MatrixRef<T> angles) const {
    positions_.angles(
        positions.subspan(static_cast<std::size_t>(first), static_cast<std::size_t>(count)),
        MatrixRef<T>(angles.middleRows(first, count)));
  }

  // Calls use(rows of the batch, rows that the last layer computes), with their rotary angles.
  template <class Use>
  void with_rows(const CausalBatch& batch, const CausalTape<T>* chosen, const AdapterRoutes* routes,
                 const Use& use) const {
    Scratch scratch;
    const Index d = positions_.angle_features();
    const Sequences& all = batch.sequences();
    const MatrixRef<T> angles = scratch.matrix<T>(all.rows(), d);
    for (Index b = 0; b < all.size(); ++b) turn(all.positions(), all[b].begin, all[b].rows, angles);
    if (chosen != nullptr && chosen->routes.all() != nullptr) routes = chosen->routes.all();
    const DecoderRows<T> rows{.keys = &all,
                              .queries = &all,
                              .angles = angles,
                              .query_angles = angles,
                              .routes = routes,
                              .query_routes = routes};
    if (chosen == nullptr || chosen->labelled.empty()) return use(rows, rows);
    const MatrixRef<T> some = scratch.matrix<T>(chosen->chosen.rows(), d);
    DecoderRows<T> last{.keys = &all,
                        .queries = &chosen->chosen,
                        .chosen = chosen->labelled,
                        .angles = angles,
                        .query_angles = some,
                        .routes = routes,
                        .query_routes = chosen->routes.last()};
    last.take(angles, some);
    use(rows, last);
  }

  // Computes the stack's result, memory of the tape or of `scratch`.
  [[nodiscard]] MatrixRef<T> run(const CausalBatch& batch, CausalTape<T>* tape, Scratch& scratch,
                                 const AdapterRoutes* routes = nullptr) const {
    batch.require(vocab_size(), max_positions(), forward_place());
    std::optional<AdapterRoutes> invoked;
    if (tape != nullptr)
      routes = tape->routes.all();
    else if (invocation_.exists())
      routes = &invoked.emplace(invocation_.rows(batch.ids(), batch.sequences()));
    const MatrixRef<T> result = scratch.matrix<T>(
        tape != nullptr && !tape->labelled.empty() ? tape->chosen.rows() : batch.tokens(),
        features());
    Tape<T>* const frames = tape == nullptr ? nullptr : &tape->frames;
    Tape<T>* const again = tape == nullptr ? nullptr : &tape->again;
    with_rows(batch, tape, routes, [&](const DecoderRows<T>& all, const DecoderRows<T>& last) {
      Scratch inner;
      copy(stack_.forward(all, last, frames, again, inner,
                          [&](MatrixRef<T> x) {
                            ends_.embed(batch.ids(), frames, x, routes);
                            positions_.forward(batch.sequences().positions(), frames,
                                               below_trains(), x, routes);
                          }),
           result);
    });
    return result;
  }

  // Computes next_logits.
  void run_next(std::span<const int> ids, std::span<const int> counts, KVCache<T>& cache,
                const AdapterRoutes* routes, Output<T> logits) const {
    const Place where = place("CausalDecoder::next_logits");
    const NewTokens fresh{ids, counts};
    check_cache(cache, where);
    fresh.check(cache, vocab_size(), max_positions(), where);
    std::optional<AdapterRoutes> rows, last_rows;
    if (routes != nullptr) {
      rows = routes->expanded(counts);
      std::vector<int> some(counts.begin(), counts.end());
      for (int& count : some) count = std::min(count, 1);
      last_rows = routes->expanded(some);
    }
    if (invocation_.exists()) rows = invocation_.rows(ids, counts, cache);
    Scratch scratch;
    const Index n = fresh.rows();
    auto* places = scratch.take<int>(n);
    fresh.positions_in(cache, places);
    const std::span<const int> positions(places, ids.size());
    const MatrixRef<T> angles = scratch.matrix<T>(n, positions_.angle_features());
    Index first = 0;
    for (const int count : counts) {
      turn(positions, first, count, angles);
      first += count;
    }
    const std::array<MatrixRef<T>, 2> turns{scratch.matrix<T>(n, features()),
                                            scratch.matrix<T>(n, features())};
    const AdapterRoutes* const all = rows ? &*rows : nullptr;
    ends_.embed(ids, nullptr, turns[0], all);
    positions_.forward(positions, nullptr, false, turns[0], all);
    std::size_t at = 0;
    stack_.for_each_block([&](const Block& block, Index i) {
      block.decode(turns[at % 2], angles, counts, cache, i, turns[(at + 1) % 2], all);
      ++at;
    });
    const MatrixRef<T> last = scratch.matrix<T>(fresh.texts(), features());
    fresh.take_last<T>(turns[at % 2], last);
    norm_.forward(last, nullptr, last);
    run_head(last, last_rows ? &*last_rows : nullptr, logits);
    if (invocation_.exists()) invocation_.mark(ids, counts, cache);
    cache.commit(counts);
  }

  void run_head(ConstMatrixRef<T> hidden, const AdapterRoutes* routes, Output<T> logits) const {
    ends_.with_head(
        [&]<class Head>(const Head& head) {
          if constexpr (requires { head.forward(hidden, *routes, logits); })
            if (routes != nullptr) return head.forward(hidden, *routes, logits);
          head.forward(hidden, logits);
        },
        routes);
  }

  [[nodiscard]] LanguageModelLoss run_loss(const CausalBatch& batch, std::span<const int> labels,
                                           CausalTape<T>& tape, std::optional<Index> total,
                                           GradientTarget<T> target,
                                           const AdapterRoutes* routes = nullptr) const {
    if (routes != nullptr) check_routes(*routes, batch.sequences().size(), "CausalDecoder::loss");
    begin(batch, tape);
    tape.note_labels(labels, vocab_size(), total, place("CausalDecoder::loss"));
    if (routes != nullptr || invocation_.exists()) {
      AdapterRoutes all =
          routes != nullptr ? row_routes(*routes, tape.batch.sequences()) : *tape.routes.all();
      std::vector<int> is_chosen(static_cast<std::size_t>(batch.tokens()), 0);
      for (const Index row : tape.labelled) is_chosen[static_cast<std::size_t>(row)] = 1;
      AdapterRoutes last = sizes_.layers > 0 ? all.expanded(is_chosen) : all;
      AdapterRoutes texts = routes != nullptr ? *routes : all;
      tape.routes.assign(std::move(texts), std::move(all), std::move(last));
    }
    if (sizes_.layers > 0)
      tape.chosen.set_selected(tape.batch.sequences(), tape.labelled);
    else
      tape.labelled.clear();
    auto& frame = tape.frames.push(this, Parts::name, batch.tokens());
    Scratch scratch;
    const MatrixRef<T> hidden = run(tape.batch, &tape, scratch);
    const MatrixRef<T> normed = scratch.matrix<T>(hidden.rows(), features());
    const MatrixRef<T> dhidden = frame.keep(hidden.rows(), features());
    norm_.forward(hidden, &tape.frames, normed);
    const std::span<const int> rows =
        tape.labelled.empty() ? std::span<const int>(tape.next) : tape.labels;
    const AdapterRoutes* const of_rows = tape.routes.last();
    const auto loss_of = [&]<class Head>(const Head& head) {
      if constexpr (requires { head.adapters(); })
        if (of_rows != nullptr)
          return language_model_loss<T>(RoutedHead<T, Head>(head, *of_rows), normed, rows, total,
                                        tape.frames, target, dhidden);
      return language_model_loss<T>(head, normed, rows, total, tape.frames, target, dhidden);
    };
    const LanguageModelLoss loss = ends_.with_head(loss_of, of_rows);
    norm_.backward(hidden, dhidden, tape.frames, target, dhidden);
    return loss;
  }

  void backward_loss(CausalTape<T>& tape, GradientTarget<T> target) const {
    auto& frame = tape.frames.find(this, backward_place());
    backward_stack(frame.kept(0), tape, target);
    static_cast<void>(tape.frames.top(this, tape.batch.tokens(), backward_place()));
    tape.frames.pop();
  }

  void backward_hidden(ConstMatrixRef<T> dhidden, CausalTape<T>& tape,
                       GradientTarget<T> target) const {
    auto& frame = tape.frames.find(this, backward_place());
    require_shape(dhidden, frame.rows(), features(), backward_place(), "dhidden",
                  "tokens of the forward", "features");
    Scratch scratch;
    const MatrixRef<T> d = scratch.matrix<T>(dhidden.rows(), dhidden.cols());
    norm_.backward(frame.kept(0), dhidden, tape.frames, target, d);
    backward_stack(d, tape, target);
    static_cast<void>(tape.frames.top(this, tape.batch.tokens(), backward_place()));
    tape.frames.pop();
  }

  void backward_stack(MatrixRef<T> d, CausalTape<T>& tape, GradientTarget<T> target) const {
    if (!stack_.trains()) return;
    with_rows(tape.batch, &tape, nullptr,
              [&](const DecoderRows<T>& all, const DecoderRows<T>& last) {
                stack_.backward(all, last, tape.frames, tape.again, target, d,
                                [&](ConstMatrixRef<T>, MatrixRef<T> dx) {
                                  positions_.backward(tape.batch.sequences().positions(),
                                                      tape.frames, target, dx, tape.routes.all());
                                  if (ends_.trains())
                                    ends_.embed_backward(tape.batch.ids(), dx, tape.frames, target,
                                                         tape.routes.all());
                                });
              });
  }

  DecoderSizes sizes_;
  LanguageEnds<T, FrozenStorage> ends_;
  typename Parts::Positions positions_;
  LayerStack<Block> stack_;
  typename Parts::Norm norm_;
  Invocation invocation_;  // of aLoRA
};

}  // namespace lora::models

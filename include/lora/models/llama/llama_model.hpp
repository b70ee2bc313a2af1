#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <filesystem>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "lora/core/scratch.hpp"
#include "lora/frozen/packed_weight.hpp"
#include "lora/models/common/adapted_model.hpp"
#include "lora/models/common/causal_tape.hpp"
#include "lora/models/common/language_ends.hpp"
#include "lora/models/common/layer_stack.hpp"
#include "lora/models/llama/llama_layer.hpp"
#include "lora/models/llama/llama_source.hpp"
#include "lora/nn/language_model_loss.hpp"

namespace lora::models {

/// A causal language model of Llama's family (transformers' LlamaForCausalLM, MistralForCausalLM,
/// Qwen2ForCausalLM, Qwen3ForCausalLM), loaded from a Hugging Face directory: config.json and
/// model.safetensors or its shards.
///
/// `Frozen` stores the weights that do not train: PackedWeight<T> is the fastest for many tokens at
/// once, HalfWeight<T> takes half its memory and half its time for one; MappedWeight<T> leaves them
/// in the file's pages and copies nothing where the file's numbers are of type T.
///
/// Rows are the tokens of a batch, text after text; N is their number, V the vocabulary's. Const
/// calls may come from several threads at once, each with a tape, Gradients or cache of its own
/// where they take them. A second call of the same shapes allocates nothing.
template <class T, class Frozen = PackedWeight<T>>
class LlamaModel : public AdaptedModel<T, LlamaModel<T, Frozen>, LlamaConfig> {
  using Base = AdaptedModel<T, LlamaModel<T, Frozen>, LlamaConfig>;

 public:
  using FrozenStorage = Frozen;

  /// Loads the model. Throws FileError for whatever is wrong with the files, ConfigError for
  /// options that do not fit the model.
  explicit LlamaModel(const std::filesystem::path& directory, const LlamaOptions& options = {})
      : LlamaModel(LlamaSource<T>(directory, options), options) {}

  [[nodiscard]] Index vocab_size() const { return this->config().vocab_size; }

  /// Returns the most tokens that a text may have.
  [[nodiscard]] Index max_positions() const { return this->config().longest_text(); }

  /// Computes the last hidden states (N, D), after the last norm and without dropout. Throws
  /// ShapeError for an id or a length that the model does not have.
  void forward(const CausalBatch& batch, Output<T> hidden) const {
    Scratch scratch;
    const MatrixRef<T> out =
        hidden.shaped(batch.tokens(), features(), "LlamaModel::forward", "hidden");
    norm_.forward(run(batch, nullptr, scratch), nullptr, out);
  }

  /// Computes the same with dropout, and keeps on the tape what backward needs.
  void forward(const CausalBatch& batch, CausalTape<T>& tape, Output<T> hidden) const {
    constexpr const char* where = "LlamaModel::forward";
    begin(batch, tape);
    const MatrixRef<T> out = hidden.shaped(batch.tokens(), features(), where, "hidden");
    auto& frame = tape.frames.push(this, "LlamaModel", batch.tokens());
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
    return KVCache<T>(std::max<Index>(1, this->config().num_hidden_layers), texts, capacity,
                      this->config().key_features());
  }

  /// Computes the logits after new tokens of texts whose beginnings are in the cache: counts[b] of
  /// text b, 0 to leave it alone, one after the other in `ids`. logits gets a row (V) for each text
  /// with new tokens, after its last. Throws ShapeError for an id that the vocabulary, or a length
  /// that the cache or the model does not have; the cache is then as it was.
  void next_logits(std::span<const int> ids, std::span<const int> counts, KVCache<T>& cache,
                   Output<T> logits) const {
    constexpr const char* where = "LlamaModel::next_logits";
    cache.check(counts, where);
    check_new(ids, counts, cache, where);
    Scratch scratch;
    const auto n = static_cast<Index>(ids.size());
    const MatrixRef<T> angles = scratch.matrix<T>(n, this->config().head_dim);
    int* positions = scratch.take<int>(n);
    Index row = 0, texts = 0;
    for (std::size_t b = 0; b < counts.size(); ++b) {
      if (counts[b] > 0) ++texts;
      for (int i = 0; i < counts[b]; ++i)
        positions[row++] = static_cast<int>(cache.length(static_cast<Index>(b))) + i;
    }
    Index first = 0;
    for (const int count : counts) {
      turn(std::span<const int>(positions, ids.size()), first, count, angles);
      first += count;
    }
    const std::array<MatrixRef<T>, 2> turns{scratch.matrix<T>(n, features()),
                                            scratch.matrix<T>(n, features())};
    ends_.embed(ids, turns[0]);
    std::size_t at = 0;
    stack_.for_each_block([&](const Layer& layer, Index i) {
      layer.decode(turns[at % 2], angles, counts, cache, i, turns[(at + 1) % 2]);
      ++at;
    });
    const MatrixRef<T> last = scratch.matrix<T>(texts, features());
    Index end = 0, text = 0;
    for (const int count : counts) {
      end += count;
      if (count > 0)
        std::copy_n(turns[at % 2].data() + (end - 1) * features(), features(),
                    rows_of(last, text++));
    }
    norm_.forward(last, nullptr, last);
    ends_.with_head([&](const auto& head) { head.forward(last, logits); });
    cache.commit(counts);
  }

  /// Calls action(layer) with each LoRALinear that has an adapter.
  template <class Action>
  void for_each_adapted(const Action& action) {
    stack_.for_each_adapted(action);
    ends_.for_each_adapted(action);
  }

  /// Adds what trains; see AdaptedModel.
  void list(ModelParameters<T>& list) {
    stack_.list(list);
    norm_.list(list);
    ends_.list(list);
  }

 private:
  using Layer = LlamaLayer<T, Frozen>;

  [[nodiscard]] Index features() const { return this->config().hidden_size; }

  static void copy(ConstMatrixRef<T> from, MatrixRef<T> to) { to = from; }
  static T* rows_of(MatrixRef<T> x, Index row) { return x.data() + row * x.outerStride(); }

  void check_new(std::span<const int> ids, std::span<const int> counts, const KVCache<T>& cache,
                 const char* where) const {
    if (cache.layers() != std::max<Index>(1, this->config().num_hidden_layers) ||
        cache.features() != this->config().key_features())
      throw ShapeError(message(where, ": the cache has ", cache.layers(), " layers of ",
                               cache.features(), " features, expected one of make_cache"));
    if (cache.rows_of(counts) != static_cast<Index>(ids.size()))
      throw ShapeError(message(where, ": ", ids.size(), " ids, expected the ",
                               cache.rows_of(counts), " that counts says"));
    for (std::size_t i = 0; i < ids.size(); ++i)
      if (ids[i] < 0 || ids[i] >= vocab_size())
        throw ShapeError(message(where, ": id ", i, " is ", ids[i], ", expected a token in [0, ",
                                 vocab_size(), ")"));
    for (std::size_t b = 0; b < counts.size(); ++b)
      if (cache.length(static_cast<Index>(b)) + counts[b] > max_positions())
        throw ShapeError(message(where, ": text ", b, " would have ",
                                 cache.length(static_cast<Index>(b)) + counts[b],
                                 " tokens, expected at most ", max_positions()));
  }

  void begin(const CausalBatch& batch, CausalTape<T>& tape) const {
    batch.require(vocab_size(), max_positions(), "LlamaModel::forward");
    tape.clear();
    if (&batch != &tape.batch) tape.batch = batch;
  }

  // Computes the angles of one text: its own length counts where scaling is dynamic.
  void turn(std::span<const int> positions, Index first, Index count, MatrixRef<T> angles) const {
    if (count == 0) return;
    rotary_.angles(
        positions.subspan(static_cast<std::size_t>(first), static_cast<std::size_t>(count)),
        std::nullopt, MatrixRef<T>(angles.middleRows(first, count)));
  }

  // Calls use(rows of the batch, rows that the last layer computes), with their rotary angles.
  template <class Use>
  void with_rows(const CausalBatch& batch, const CausalTape<T>* chosen, const Use& use) const {
    Scratch scratch;
    const Index d = this->config().head_dim;
    const Sequences& all = batch.sequences();
    const MatrixRef<T> angles = scratch.matrix<T>(all.rows(), d);
    for (Index b = 0; b < all.size(); ++b) turn(all.positions(), all[b].begin, all[b].rows, angles);
    const DecoderRows<T> rows{
        .keys = &all, .queries = &all, .angles = angles, .query_angles = angles};
    if (chosen == nullptr || chosen->labelled.empty()) return use(rows, rows);
    const MatrixRef<T> some = scratch.matrix<T>(chosen->chosen.rows(), d);
    DecoderRows<T> last{.keys = &all,
                        .queries = &chosen->chosen,
                        .chosen = chosen->labelled,
                        .angles = angles,
                        .query_angles = some};
    last.take(angles, some);
    use(rows, last);
  }

  // Computes the stack's result, memory of the tape or of `scratch`.
  [[nodiscard]] MatrixRef<T> run(const CausalBatch& batch, CausalTape<T>* tape,
                                 Scratch& scratch) const {
    batch.require(vocab_size(), max_positions(), "LlamaModel::forward");
    const MatrixRef<T> result = scratch.matrix<T>(
        tape != nullptr && !tape->labelled.empty() ? tape->chosen.rows() : batch.tokens(),
        features());
    with_rows(batch, tape, [&](const DecoderRows<T>& all, const DecoderRows<T>& last) {
      Scratch inner;
      copy(stack_.forward(all, last, tape == nullptr ? nullptr : &tape->frames,
                          tape == nullptr ? nullptr : &tape->again, inner,
                          [&](MatrixRef<T> x) { ends_.embed(batch.ids(), x); }),
           result);
    });
    return result;
  }

  [[nodiscard]] LanguageModelLoss run_loss(const CausalBatch& batch, std::span<const int> labels,
                                           CausalTape<T>& tape, std::optional<Index> total,
                                           GradientTarget<T> target) const {
    constexpr const char* where = "LlamaModel::loss";
    begin(batch, tape);
    next_token_labels(labels, batch.sequences(), tape.next);
    tape.labels.clear();
    tape.labelled.clear();
    for (std::size_t i = 0; i < tape.next.size(); ++i) {
      const int label = tape.next[i];
      if (label == ignored_label) continue;
      if (label < 0 || label >= vocab_size())
        throw ShapeError(message(where, ": label ", i + 1, " is ", label,
                                 ", expected a token in [0, ", vocab_size(), ") or ",
                                 ignored_label));
      tape.labels.push_back(label);
      tape.labelled.push_back(static_cast<Index>(i));
    }
    const auto count = static_cast<Index>(tape.labels.size());
    if (count == 0 || (total && *total < count))
      throw ConfigError(message(where, ": ", count, " of the labels count",
                                count == 0 ? ", expected at least one that is no text's first"
                                           : ", more than total says"));
    if (this->config().num_hidden_layers > 0)
      tape.chosen.set_selected(tape.batch.sequences(), tape.labelled);
    else
      tape.labelled.clear();
    auto& frame = tape.frames.push(this, "LlamaModel", batch.tokens());
    Scratch scratch;
    const MatrixRef<T> hidden = run(tape.batch, &tape, scratch);
    const MatrixRef<T> normed = scratch.matrix<T>(hidden.rows(), features());
    const MatrixRef<T> dhidden = frame.keep(hidden.rows(), features());
    norm_.forward(hidden, &tape.frames, normed);
    const std::span<const int> rows =
        tape.labelled.empty() ? std::span<const int>(tape.next) : tape.labels;
    const LanguageModelLoss loss = ends_.with_head([&](const auto& head) {
      return language_model_loss<T>(head, normed, rows, total, tape.frames, target, dhidden);
    });
    norm_.backward(hidden, dhidden, tape.frames, target, dhidden);
    return loss;
  }

  void backward_loss(CausalTape<T>& tape, GradientTarget<T> target) const {
    auto& frame = tape.frames.find(this, "LlamaModel::backward");
    backward_stack(frame.kept(0), tape, target);
    static_cast<void>(tape.frames.top(this, tape.batch.tokens(), "LlamaModel::backward"));
    tape.frames.pop();
  }

  void backward_hidden(ConstMatrixRef<T> dhidden, CausalTape<T>& tape,
                       GradientTarget<T> target) const {
    constexpr const char* where = "LlamaModel::backward";
    auto& frame = tape.frames.find(this, where);
    require_shape(dhidden, frame.rows(), features(), where, "dhidden", "tokens of the forward",
                  "hidden_size");
    Scratch scratch;
    const MatrixRef<T> d = scratch.matrix<T>(dhidden.rows(), dhidden.cols());
    norm_.backward(frame.kept(0), dhidden, tape.frames, target, d);
    backward_stack(d, tape, target);
    static_cast<void>(tape.frames.top(this, tape.batch.tokens(), where));
    tape.frames.pop();
  }

  void backward_stack(MatrixRef<T> d, CausalTape<T>& tape, GradientTarget<T> target) const {
    if (!stack_.trains()) return;
    with_rows(tape.batch, &tape, [&](const DecoderRows<T>& all, const DecoderRows<T>& last) {
      stack_.backward(all, last, tape.frames, tape.again, target, d,
                      [&](ConstMatrixRef<T>, MatrixRef<T> dx) {
                        ends_.embed_backward(tape.batch.ids(), dx, target);
                      });
    });
  }

  static std::vector<Layer> layers_of(ModelBuilder<T>& builder, const LlamaConfig& config) {
    std::vector<Layer> layers;
    for (Index i = 0; i < config.num_hidden_layers; ++i) layers.emplace_back(builder, config, i);
    return layers;
  }

  LlamaModel(const LlamaSource<T>& source, const LlamaOptions& options)
      : LlamaModel(source, source.builder(options.seed), source.ties_head(), options) {}

  LlamaModel(const LlamaSource<T>& source, ModelBuilder<T> builder, bool tied,
             const LlamaOptions& options)
      : Base(source),
        rotary_(source.config.head_dim, source.config.rope),
        ends_(builder, ends_of(source, tied)),
        stack_(layers_of(builder, source.config), source.config.hidden_size, ends_.trains(),
               options.recompute_activations),
        norm_(builder, "model.norm", source.config.hidden_size, source.config.rms_norm_eps) {
    this->release_pages();
  }

  static LanguageEndsNames ends_of(const LlamaSource<T>& source, bool tied) {
    if (tied) source.weights->also_known_as("lm_head.weight", "model.embed_tokens.weight");
    return {"model.embed_tokens", "lm_head", source.config.vocab_size, source.config.hidden_size,
            tied};
  }

  Rotary<T> rotary_;
  LanguageEnds<T, Frozen> ends_;
  LayerStack<Layer> stack_;
  ModuleRMSNorm<T> norm_;
};

}  // namespace lora::models

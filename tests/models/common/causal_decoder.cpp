// A decoder of a family that is built nowhere: what is common knows none.
#include <lora/models/common/causal_decoder.hpp>

#include <string>
#include <vector>

#include <lora/generation/causal_model.hpp>
#include <lora/models/common/learned_positions.hpp>
#include <lora/models/common/module_layer_norm.hpp>

#include "models/common/model_files.hpp"
#include "support/catch.hpp"
#include "support/finite_difference.hpp"
#include "support/throws.hpp"
#include "support/tolerance.hpp"

using namespace lora;
using namespace lora::test;
using models::CausalBatch;
using models::ModelBuilder;

namespace {

struct DoublingConfig {
  double initializer_range = 0.02;
};

// Its only block computes y = 2 x, which no token looks at another for.
struct DoublingBlock {
  using Scalar = double;
  using Rows = models::DecoderRows<double>;

  static void forward(ConstMatrixRef<double> x, const Rows& rows, Tape<double>*,
                      MatrixRef<double> y) {
    Scratch scratch;
    y = 2 * rows.taken(x, scratch);
  }
  static void decode(ConstMatrixRef<double> x, ConstMatrixRef<double>, std::span<const int> counts,
                     KVCache<double>& cache, Index i, MatrixRef<double> y,
                     const AdapterRoutes* = nullptr) {
    cache.append(i, counts, x, x);
    y = 2 * x;
  }
  static void backward(ConstMatrixRef<double>, ConstMatrixRef<double>, const Rows& rows,
                       Tape<double>&, GradientTarget<double>, MatrixRef<double> dy,
                       const MatrixRef<double>* dx) {
    MatrixRef<double> to = *dx;
    if (rows.all()) {
      to *= 2;
    } else {
      to.setZero();
      dy *= 2;
      rows.add(dy, to);
    }
  }
  static void list(models::ModelParameters<double>&) {}
  static bool has_dropout() { return false; }
  template <class Action>
  static void for_each_adapted(const Action&) {}
};

struct DoublingParts {
  using Scalar = double;
  using FrozenStorage = DenseWeight<double>;
  using Config = DoublingConfig;
  using Block = DoublingBlock;
  using Norm = models::ModuleLayerNorm<double>;
  using Positions = models::LearnedPositions<double>;
  static constexpr const char* name = "DoublingModel";

  static models::DecoderSizes sizes(const Config&) {
    return {.vocab_size = 7, .features = 3, .layers = 1, .key_features = 3, .positions = 4};
  }
  static Positions positions(ModelBuilder<double>& builder, const Config&) {
    return {builder, "places", 4, 3, 0.0};
  }
  static Block block(ModelBuilder<double>&, const Config&, Index) { return {}; }
  static Norm norm(ModelBuilder<double>& builder, const Config&) {
    return {builder, "norm", 3, 1e-5};
  }
};

class DoublingModel : public models::CausalDecoder<DoublingModel, DoublingParts> {
 public:
  using Source = models::ModelSource<double, DoublingConfig>;
  explicit DoublingModel(const Source& source)
      : models::CausalDecoder<DoublingModel, DoublingParts>(
            source, source.builder(1), {"tokens", "head", 7, 3, false}, false) {}
};

ModelFiles doubling_files() {
  ModelFiles files;
  files.add("tokens.weight", random_matrix<double>(7, 3, 1), {7, 3});
  files.add("places.weight", random_matrix<double>(4, 3, 2), {4, 3});
  files.add("head.weight", random_matrix<double>(7, 3, 3), {7, 3});
  files.add_norm("norm", 3);
  return files;
}

DoublingModel doubling_model(const ModelFiles& files, const models::Tuning& tuning) {
  models::ModelOutline outline{.output_embedding = "head"};
  outline.modules = {{"tokens", peft::ModuleKind::other_layer},
                     {"places", peft::ModuleKind::other_layer},
                     {"norm", peft::ModuleKind::no_layer},
                     {"head", peft::ModuleKind::linear}};
  return DoublingModel(DoublingModel::Source(files.write(), {}, outline, tuning));
}

}  // namespace

TEST_CASE("a decoder is embeddings, positions, blocks, a norm and a head") {
  STATIC_REQUIRE(generation::CausalModel<DoublingModel>);
  const ModelFiles files = doubling_files();
  DoublingModel model = doubling_model(files, models::HeadOnly{});
  CHECK(model.total_parameters() == 7 * 3 + 4 * 3 + 7 * 3 + 2 * 3);
  CHECK(model.max_positions() == 4);
  CHECK(model.sizes().positions == 4);
  const std::vector<int> ids{5, 2, 6}, lengths{2, 1};
  const CausalBatch batch(ids, lengths);
  Matrix<double> expected(3, 3), hidden, logits;
  for (Index i = 0; i < 3; ++i)
    expected.row(i) = 2 * (files["tokens.weight"].row(ids[static_cast<std::size_t>(i)]) +
                           files["places.weight"].row(i == 1 ? 1 : 0));
  const LayerNorm<double> norm(files["norm.weight"].transpose(), files["norm.bias"].transpose());
  norm.forward(expected, expected);
  model.forward(batch, hidden);
  CHECK(largest_difference(hidden, expected) < 1e-12);
  expected *= files["head.weight"].transpose();
  model.logits(batch, logits);
  CHECK(largest_difference(logits, expected) < 1e-12);
  KVCache<double> cache = model.make_cache(2, 4);
  model.next_logits(ids, lengths, cache, logits);
  CHECK(largest_difference(logits, expected.bottomRows(2)) < 1e-12);
  CHECK(cache.length(0) == 2);
}

TEST_CASE("a decoder's gradients reach embeddings and positions, from some rows too") {
  const ModelFiles files = doubling_files();
  DoublingModel model = doubling_model(files, models::FullTuning{});
  const std::vector<int> ids{5, 2, 6, 1, 5}, labels{-100, 3, -100, 1, 2};
  const CausalBatch batch(ids, std::vector<int>{3, 2});
  models::CausalTape<double> tape;
  static_cast<void>(model.loss(batch, labels, tape));
  model.backward(tape);
  CHECK(tape.empty());
  CHECK(model.parameters().size() == 5);
  for (Parameter<double>* parameter : model.parameters()) {
    CAPTURE(parameter->name);
    Matrix<double> value = parameter->value;
    const auto loss = [&] {
      parameter->value = value;
      return model.loss(batch, labels).mean();
    };
    CHECK(relative_error(Matrix<double>(parameter->grad), finite_difference(value, loss)) < 1e-6);
    loss();
  }
}

TEST_CASE("errors of a decoder name its family's model") {
  const ModelFiles files = doubling_files();
  const DoublingModel model = doubling_model(files, models::HeadOnly{});
  Matrix<double> y;
  check_throws<ShapeError>(
      [&] { model.logits(CausalBatch(std::vector<int>(5, 1), std::vector<int>{5}), y); },
      "DoublingModel (CausalDecoder::forward): text 0 of the batch has 5 tokens, expected at most "
      "4");
  check_throws<ConfigError>(
      [&] { static_cast<void>(doubling_model(files, models::BottleneckAdapters{2})); },
      "DoublingModel: BottleneckAdapters are not built here");
}

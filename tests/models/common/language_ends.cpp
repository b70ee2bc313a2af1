#include <lora/models/common/language_ends.hpp>

#include <optional>
#include <string>
#include <vector>

#include <lora/frozen/half_weight.hpp>

#include "models/common/model_files.hpp"
#include "support/catch.hpp"
#include "support/throws.hpp"
#include "support/tolerance.hpp"

using namespace lora;
using namespace lora::test;

namespace {

using Ends = models::LanguageEnds<double, DenseWeight<double>>;

models::ModelOutline ends_outline() {
  models::ModelOutline outline;
  outline.output_embedding = "head";
  outline.modules = {{"tokens", peft::ModuleKind::other_layer},
                     {"other", peft::ModuleKind::linear},
                     {"head", peft::ModuleKind::linear}};
  return outline;
}

const std::vector<std::string> other_module{"other"};

ModelFiles ends_files(bool tied) {
  ModelFiles files;
  files.add("tokens.weight", random_matrix<double>(7, 3, 1), {7, 3});
  if (!tied) files.add("head.weight", random_matrix<double>(7, 3, 2), {7, 3});
  return files;
}

}  // namespace

TEST_CASE("embeddings are rows of their table, or of the head that they are tied to") {
  const std::vector<int> ids{6, 0, 6};
  for (const bool tied : {false, true}) {
    const ModelFiles files = ends_files(tied);
    Workbench bench(files, models::HeadOnly{}, ends_outline());
    if (tied) bench.weights.also_known_as("head.weight", "tokens.weight");
    Ends ends(bench.builder, {"tokens", "head", 7, 3, tied});
    CHECK(!ends.trains());
    Matrix<double> y(3, 3), logits;
    ends.embed(ids, nullptr, y);
    CHECK(same_bits(y.row(0), files["tokens.weight"].row(6)));
    CHECK(same_bits(y.row(1), files["tokens.weight"].row(0)));
    ends.with_head([&](const auto& head) { head.forward(y, logits); });
    CHECK(largest_difference(
              logits, y * files[tied ? "tokens.weight" : "head.weight"].transpose()) < 1e-14);
    models::ModelParameters<double> list;
    ends.list(list);
    CHECK(list.trained.empty());
    CHECK(list.total == (tied ? 21 : 42));
  }
}

TEST_CASE("ends that train together are one parameter, and apart they are two") {
  const std::vector<int> ids{6, 0, 6};
  const Matrix<double> dy = random_matrix<double>(3, 3, 4);
  for (const bool tied : {false, true}) {
    const ModelFiles files = ends_files(tied);
    Workbench bench(files, models::FullTuning{}, ends_outline());
    if (tied) bench.weights.also_known_as("head.weight", "tokens.weight");
    Ends ends(bench.builder, {"tokens", "head", 7, 3, tied});
    CHECK(ends.trains());
    models::ModelParameters<double> list;
    ends.list(list);
    REQUIRE(list.trained.size() == (tied ? 1 : 2));
    CHECK(list.trained[0]->name == "tokens.weight");
    Tape<double> tape;
    ends.embed_backward(ids, dy, tape, GradientTarget<double>::own());
    CHECK(largest_difference(list.trained[0]->grad.row(6), dy.row(0) + dy.row(2)) < 1e-15);
    list.trained[0]->value.setConstant(2);
    Matrix<double> y(3, 3);
    ends.embed(ids, nullptr, y);
    CHECK(y.isConstant(2));
  }
}

TEST_CASE("a head that is adapted leaves embeddings alone") {
  const ModelFiles files = ends_files(true);
  peft::PeftConfig config{.r = 2, .target_modules = std::vector<std::string>{"head"}};
  Workbench bench(files, config, ends_outline());
  bench.weights.also_known_as("head.weight", "tokens.weight");
  Ends ends(bench.builder, {"tokens", "head", 7, 3, true});
  Index adapted = 0;
  ends.for_each_adapted([&](auto& head) {
    ++adapted;
    head.lora_B().value.setConstant(1);
    head.merge();
  });
  CHECK(adapted == 1);
  Matrix<double> y(1, 3);
  ends.embed(std::vector<int>{4}, nullptr, y);
  CHECK(same_bits(y, files["tokens.weight"].row(4)));
}

TEST_CASE("embeddings that are adapted leave the head alone, tied to them or not") {
  const std::vector<int> ids{6, 0, 6};
  const Matrix<double> dy = random_matrix<double>(3, 3, 4), hidden = random_matrix<double>(2, 3, 5);
  for (const bool tied : {false, true}) {
    const ModelFiles files = ends_files(tied);
    const peft::PeftConfig config{.r = 2, .target_modules = std::vector<std::string>{"tokens"}};
    Workbench bench(files, config, ends_outline());
    if (tied) bench.weights.also_known_as("head.weight", "tokens.weight");
    Ends ends(bench.builder, {"tokens", "head", 7, 3, tied});
    CHECK(ends.trains());
    models::ModelParameters<double> list;
    ends.list(list);
    REQUIRE(list.trained.size() == 2);
    CHECK(list.stored.empty());
    CHECK(list.slots.size() == 1);
    CHECK(list.trained[0]->name == "tokens.lora_embedding_A");
    CHECK(list.trained[0]->value.isZero(0));
    CHECK(list.total == 42 + 20);
    list.trained[0]->value = random_matrix<double>(2, 7, 6);
    Tape<double> tape;
    Matrix<double> y(3, 3), inferred(3, 3), logits;
    ends.embed(ids, &tape, y);
    ends.embed(ids, nullptr, inferred);
    CHECK(same_bits(y, inferred));
    CHECK(largest_difference(y.row(0), files["tokens.weight"].row(6)) > 1e-3);
    ends.embed_backward(ids, dy, tape, GradientTarget<double>::own());
    CHECK(tape.empty());
    const Matrix<double> g = dy * list.trained[1]->value;  // alpha / rank is 4
    CHECK(largest_difference(list.trained[0]->grad.col(6), 4 * (g.row(0) + g.row(2)).transpose()) <
          1e-12);
    Index adapted = 0;
    ends.for_each_adapted([&](auto& layer) {
      ++adapted;
      layer.merge();
    });
    CHECK(adapted == 1);
    ends.embed(ids, nullptr, inferred);
    CHECK(largest_difference(y, inferred) < 1e-13);
    ends.with_head([&](const auto& head) { head.forward(hidden, logits); });
    CHECK(largest_difference(
              logits, hidden * files[tied ? "tokens.weight" : "head.weight"].transpose()) < 1e-14);
  }
}

TEST_CASE("a padding token's embedding gets no gradient, as in PyTorch") {
  const std::vector<int> ids{6, 0, 6};
  const Matrix<double> dy = random_matrix<double>(3, 3, 4);
  const ModelFiles files = ends_files(false);
  const auto gradient = [&](const models::Tuning& tuning, std::optional<Index> padding) {
    Workbench bench(files, tuning, ends_outline());
    Ends ends(bench.builder, {"tokens", "head", 7, 3, false, padding});
    models::ModelParameters<double> list;
    ends.list(list);
    if (list.slots.size() == 1) list.trained[1]->value.setOnes();
    Tape<double> tape;
    Matrix<double> y(3, 3);
    ends.embed(ids, &tape, y);
    ends.embed_backward(ids, dy, tape, GradientTarget<double>::own());
    return list.trained[0]->grad;
  };
  const peft::PeftConfig rows{.target_modules = other_module,
                              .trainable_token_indices = {{"tokens", {6, 0}}}};
  CHECK(gradient(rows, {}).row(0) == dy.row(0) + dy.row(2));
  CHECK(gradient(rows, 6).row(0).isZero(0));
  CHECK(gradient(rows, 6).row(1) == dy.row(1));
  CHECK(gradient(rows, 7).row(0) == dy.row(0) + dy.row(2));  // no token
  CHECK(gradient(models::FullTuning{}, 6).row(6).isZero(0));
  CHECK(gradient(models::FullTuning{}, 6).row(0) == dy.row(1));
  const peft::PeftConfig adapted{.r = 2, .target_modules = std::vector<std::string>{"tokens"}};
  CHECK(!gradient(adapted, {}).col(6).isZero());
  CHECK(gradient(adapted, 6).col(6).isZero(0));
  CHECK(!gradient(adapted, 6).col(0).isZero());
}

TEST_CASE("rows of a head begin as the numbers that it computes with") {
  const ModelFiles files = ends_files(false);
  const peft::PeftConfig rows{.target_modules = other_module,
                              .trainable_token_indices = {{"head", {4, 2}}}};
  Workbench bench(files, rows, ends_outline());
  models::LanguageEnds<double, HalfWeight<double>> ends(bench.builder,
                                                        {"tokens", "head", 7, 3, false});
  const Matrix<double> x = random_matrix<double>(2, 3, 5);
  Matrix<double> with, without;
  ends.with_head([&](const auto& head) { head.forward(x, with); });
  ends.for_each_trainable_tokens([](auto& tokens) { tokens.disable_adapter(); });
  ends.with_head([&](const auto& head) { head.forward(x, without); });
  CHECK(largest_difference(with, without) < 1e-14);
}

TEST_CASE("rows of embeddings are refused where files have a copy of a head that is tied to them") {
  const ModelFiles files = ends_files(false);
  const auto load = [&](const peft::PeftConfig& rows) {
    Workbench bench(files, rows, ends_outline());
    return Ends(bench.builder,
                models::tied_ends(bench.weights, {"tokens", "head", 7, 3, /*tied=*/true}))
        .trains();
  };
  check_throws<ConfigError>(
      [&] {
        load({.target_modules = other_module, .trainable_token_indices = {{"tokens", {1}}}});
      },
      "the files have a weight of that too");
  CHECK(load({.target_modules = other_module,
              .trainable_token_indices = {{"tokens", {1}}, {"head", {1}}}}));
}

TEST_CASE("tied ends that a config wants to stay one while they train are refused") {
  ModelFiles files;
  files.add("embed_tokens.weight", random_matrix<double>(7, 3, 1), {7, 3});
  models::ModelOutline outline;
  outline.output_embedding = "lm_head";
  outline.modules = {{"embed_tokens", peft::ModuleKind::other_layer},
                     {"other", peft::ModuleKind::linear},
                     {"lm_head", peft::ModuleKind::linear}};
  const auto build = [&](const char* flag, std::vector<std::string> targets,
                         std::vector<std::string> saved) {
    const peft::PeftConfig config{.r = 2,
                                  .target_modules = std::move(targets),
                                  .modules_to_save = std::move(saved),
                                  .other = {{"ensure_weight_tying", flag}}};
    Workbench bench(files, config, outline);
    bench.weights.also_known_as("lm_head.weight", "embed_tokens.weight");
    const Ends ends(bench.builder, {"embed_tokens", "lm_head", 7, 3, true});
  };
  const char* const why = "ensure_weight_tying is true, and \"";
  check_throws<ConfigError>([&] { build("true", {"lm_head"}, {}); }, why);
  check_throws<ConfigError>([&] { build("true", {"other"}, {"lm_head"}); }, why);
  check_throws<ConfigError>([&] { build("true", {"other"}, {"embed_tokens"}); }, why);
  CHECK_NOTHROW(build("true", {"other"}, {}));
  CHECK_NOTHROW(build("false", {"other"}, {"lm_head"}));
}

TEST_CASE("a head is tied where its own weight is not in the files") {
  const ModelFiles tied = ends_files(true), own = ends_files(false);
  models::PretrainedWeights<double> weights(tied.write()), more(own.write());
  CHECK(models::tied_ends(weights, {"tokens", "head", 7, 3, true}).tied);
  CHECK(weights.contains("head.weight"));
  CHECK(!models::tied_ends(more, {"tokens", "head", 7, 3, true}).tied);
  models::PretrainedWeights<double> again(tied.write());
  check_throws<FileError>(
      [&] {
        static_cast<void>(models::tied_ends(again, {"tokens", "head", 7, 3, false}));
      },
      "has no \"head.weight\", and tie_word_embeddings is false: the head would be random");
}

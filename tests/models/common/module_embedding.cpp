#include <lora/models/common/module_embedding.hpp>

#include <vector>

#include "models/common/model_files.hpp"
#include "support/catch.hpp"
#include "support/throws.hpp"
#include "support/tolerance.hpp"

using namespace lora;
using namespace lora::test;

namespace {

models::ModelOutline words_outline() {
  models::ModelOutline outline;
  outline.modules = {{"words", peft::ModuleKind::other_layer}, {"fc", peft::ModuleKind::linear}};
  return outline;
}

models::Tuning adapting_words(Index rank) {
  return peft::PeftConfig{.r = rank, .target_modules = std::vector<std::string>{"words"}};
}

}  // namespace

TEST_CASE("an embedding of a model is frozen, adapted or trains, as its plan says") {
  ModelFiles files;
  files.add("words.weight", random_matrix<double>(6, 4, 1), {6, 4});
  const Matrix<double>& table = files["words.weight"];
  const std::vector<int> ids{5, 2, 5, 0};
  const Matrix<double> dy = random_matrix<double>(4, 4, 2);
  for (const models::Tuning& tuning : {models::Tuning(models::HeadOnly{}),
                                       models::Tuning(models::FullTuning{}), adapting_words(2)}) {
    CAPTURE(tuning.index());
    Workbench bench(files, tuning, words_outline());
    models::ModuleEmbedding<double> words(bench.builder, "words", 6, 4, 2);
    const bool adapted = std::holds_alternative<peft::PeftConfig>(tuning);
    CHECK(words.is_adapted() == adapted);
    CHECK(words.trains() == !std::holds_alternative<models::HeadOnly>(tuning));
    CHECK(same_bits(words.values(), table));
    Matrix<double> y(4, 4);
    Tape<double> tape;
    words.forward(ids, &tape, y);  // a new adapter changes nothing
    for (Index n = 0; n < 4; ++n) CHECK(same_bits(y.row(n), table.row(ids[std::size_t(n)])));
    CHECK(tape.empty() == !adapted);
    models::ModelParameters<double> list;
    words.list(list);
    CHECK(list.total == (adapted ? 24 + 20 : 24));
    CHECK(list.slots.size() == (adapted ? 1U : 0U));
    Index seen = 0;
    words.for_each_adapted([&](auto& layer) { seen += layer.rank(); });
    CHECK(seen == (adapted ? 2 : 0));
    if (!words.trains()) continue;
    words.backward(ids, dy, tape, GradientTarget<double>::own());
    CHECK(tape.empty());
    const auto& grad = list.trained[0]->grad;
    // Neither row nor column of the padding entry, 2, gets a gradient.
    CHECK((adapted ? Matrix<double>(grad.col(2)) : Matrix<double>(grad.row(2))).isZero(0));
    if (adapted)
      CHECK(largest_difference(grad.col(5), 4 * list.trained[1]->value.transpose() *
                                                (dy.row(0) + dy.row(2)).transpose()) < 1e-12);
    else
      CHECK(same_bits(grad.row(5), dy.row(0) + dy.row(2)));
  }
}

TEST_CASE("a new adapter of an embedding is drawn by its name alone, and its rank is limited") {
  ModelFiles files;
  files.add("words.weight", random_matrix<double>(6, 4, 1), {6, 4});
  const auto b = [&](Index drawn_before) {
    Workbench bench(files, adapting_words(2), words_outline());
    for (Index i = 0; i < drawn_before; ++i) static_cast<void>(bench.builder.next_seed());
    auto layer =
        models::make_lora_embedding<double, DenseWeight<double>>(bench.builder, "words", 6, 4);
    return Matrix<double>(layer.lora_B().value);
  };
  CHECK(same_bits(b(0), b(3)));
  Workbench bench(files, adapting_words(1025), words_outline());
  check_throws<ConfigError>([&] { models::ModuleEmbedding<double>(bench.builder, "words", 6, 4); },
                            "the rank of \"words\" is 1025, expected at most 1024");
}

#include <lora/models/gpt2/gpt2_layer.hpp>

#include <array>
#include <vector>

#include <lora/models/gpt2/gpt2_source.hpp>

#include "models/gpt2/golden_gpt2.hpp"
#include "support/catch.hpp"
#include "support/finite_difference.hpp"
#include "support/random_matrix.hpp"
#include "support/tolerance.hpp"

using namespace lora;
using namespace lora::test;

TEST_CASE("GPT-2's layer has gradients of finite differences, for chosen rows too") {
  const models::GPT2Source<double> source(
      gpt2_data("bare"),
      {.tuning = peft::PeftConfig{.r = 2, .target_modules = std::string("all-linear")}});
  auto builder = source.builder(1);
  models::GPT2Layer<double, DenseWeight<double>> layer(builder, source.config, 1);
  CHECK(!layer.has_dropout());
  models::ModelParameters<double> list;
  layer.list(list);
  CHECK(list.slots.size() == 4);
  const Sequences all = Sequences::packed(std::array{4, 3});
  const std::vector<Index> chosen{1, 3, 6};
  Sequences some;
  some.set_selected(all, chosen);
  Matrix<double> x = random_matrix<double>(7, 16, 1), whole(7, 16), dx(7, 16);
  const models::DecoderRows<double> every{.keys = &all, .queries = &all};
  layer.forward(x, every, nullptr, whole);
  for (const bool part : {false, true}) {
    const models::DecoderRows<double> rows =
        part ? models::DecoderRows<double>{.keys = &all, .queries = &some, .chosen = chosen}
             : every;
    Matrix<double> y(rows.count(), 16), again(rows.count(), 16);
    const Matrix<double> c = random_matrix<double>(rows.count(), 16, 2);
    Tape<double> tape;
    layer.forward(x, rows, &tape, y);
    for (std::size_t i = 0; part && i < chosen.size(); ++i)
      CHECK(largest_difference(y.row(static_cast<Index>(i)), whole.row(chosen[i])) < 1e-12);
    Matrix<double> dy = c;
    const MatrixRef<double> to(part ? dx : dy);
    Gradients<double> gradients(list.trained);
    layer.backward(x, y, rows, tape, gradients, dy, &to);
    CHECK(tape.empty());
    const Matrix<double> got = to;
    CHECK(relative_error(got, finite_difference(x, [&] {
                           layer.forward(x, rows, nullptr, again);
                           return (again.array() * c.array()).sum();
                         })) < 1e-6);
  }
}

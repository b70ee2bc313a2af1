#include <lora/models/common/bottleneck.hpp>

#include "models/common/model_files.hpp"
#include "support/catch.hpp"
#include "support/finite_difference.hpp"
#include "support/tolerance.hpp"

using namespace lora;
using namespace lora::test;
using models::Bottleneck;
using models::ModelParameters;

TEST_CASE("a bottleneck starts close to the identity, and has the gradients of differences") {
  constexpr Index n = 4, d = 6, width = 3;
  ModelFiles files;
  files.add_linear("a", 1, 1);
  Workbench bench(files, models::HeadOnly{}, linear_outline({"a"}));
  Bottleneck<double> bottleneck(bench.builder, "block.adapter", d, width);
  Matrix<double> h = random_matrix<double>(n, d, 1);
  const Matrix<double> c = random_matrix<double>(n, d, 2);
  Matrix<double> out = h;
  bottleneck.forward(out, nullptr);
  CHECK(largest_difference(out, h) < 1e-4);

  ModelParameters<double> list;
  bottleneck.list(list);
  REQUIRE(list.trained.size() == 4);
  CHECK(list.trained[0]->name == "block.adapter.down.weight");
  CHECK(list.total == 2 * d * width + d + width);
  std::uint64_t seed = 3;
  for (Parameter<double>* parameter : list.trained)
    parameter->value =
        random_matrix<double>(parameter->value.rows(), parameter->value.cols(), ++seed);
  const auto loss = [&] {
    Matrix<double> y = h;
    bottleneck.forward(y, nullptr);
    return (y.array() * c.array()).sum();
  };
  Tape<double> tape;
  out = h;
  bottleneck.forward(out, &tape);
  Matrix<double> dh = c;
  bottleneck.backward(tape, GradientTarget<double>::own(), dh);
  CHECK(tape.empty());
  CHECK(relative_error(dh, finite_difference(h, loss)) < 1e-6);
}

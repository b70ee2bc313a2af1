#include <lora/models/common/module_group.hpp>

#include <array>
#include <string>
#include <vector>

#include "models/common/model_files.hpp"
#include "support/catch.hpp"
#include "support/finite_difference.hpp"
#include "support/tolerance.hpp"

using namespace lora;
using namespace lora::test;

// Adapted or trained as a whole, one of two or both: outputs are the modules', gradients those of
// differences.
TEST_CASE("modules of one input are computed together or apart, with the same results") {
  ModelFiles files;
  files.add_linear("gate", 5, 4);
  files.add_linear("up", 3, 4, false);
  peft::PeftConfig lora{.r = 2, .target_modules = std::vector<std::string>{"gate"}};
  peft::PeftConfig saved = lora;
  saved.modules_to_save = {"up"};
  for (const models::Tuning& tuning :
       {models::Tuning(lora), models::Tuning(saved), models::Tuning(models::FullTuning{})}) {
    Workbench bench(files, tuning, linear_outline({"gate", "up"}));
    models::ModuleGroup<double, DenseWeight<double>> group(
        bench.builder, {{"gate", {5, 4, true}}, {"up", {3, 4, false}}});
    Matrix<double> x = random_matrix<double>(6, 4, 1), dx(6, 4), gate(6, 5), up(6, 3);
    Matrix<double> dgate = random_matrix<double>(6, 5, 2), dup = random_matrix<double>(6, 3, 3);
    const std::array<MatrixRef<double>, 2> y{gate, up}, dy{dgate, dup};
    Tape<double> tape;
    group.forward(x, &tape, y);
    const Matrix<double> expected = x * files["up.weight"].transpose();
    CHECK(largest_difference(up, expected) < 1e-12);
    const Matrix<double> copy = x;  // as computed again
    const MatrixRef<double> to(dx);
    group.backward(copy, dy, tape, GradientTarget<double>::own(), &to);
    CHECK(tape.empty());
    const Matrix<double> cg = dgate, cu = dup;
    const auto loss = [&] {
      group.forward(x, nullptr, y);
      return (gate.array() * cg.array()).sum() + (up.array() * cu.array()).sum();
    };
    CHECK(relative_error(dx, finite_difference(x, loss)) < 1e-6);
    models::ModelParameters<double> list;
    group.list(list);
    CHECK(!list.trained.empty());
    for (Parameter<double>* parameter : list.trained) {
      CAPTURE(parameter->name);
      Matrix<double> value = parameter->value;
      if (parameter->grad.isZero(0)) continue;  // A's, while B is zero
      CHECK(relative_error(parameter->grad, finite_difference(value, [&] {
                             parameter->value = value;
                             return loss();
                           })) < 1e-6);
      const Matrix<double> once = parameter->grad;
      zero_grad(list.trained);
      group.forward(x, &tape, y);
      group.backward(x, dy, tape, GradientTarget<double>::own(), nullptr);
      CHECK(largest_difference(parameter->grad, once) < 1e-10);
    }
    Index adapted = 0;
    group.for_each_adapted([&](auto&) { ++adapted; });
    CHECK(adapted == (std::holds_alternative<models::FullTuning>(tuning) ? 0 : 1));
  }
}

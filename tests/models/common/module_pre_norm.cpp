#include <lora/models/common/module_pre_norm.hpp>

#include <lora/models/common/module_layer_norm.hpp>
#include <lora/models/common/module_rms_norm.hpp>

#include "models/common/model_files.hpp"
#include "support/catch.hpp"
#include "support/finite_difference.hpp"
#include "support/tolerance.hpp"

using namespace lora;
using namespace lora::test;

TEMPLATE_TEST_CASE("a norm before a half of a block has its gradient, in place of dy too", "",
                   models::ModuleRMSNorm<double>, models::ModuleLayerNorm<double>) {
  ModelFiles files;
  files.add_norm("norm", 6);
  models::ModelOutline outline;
  outline.modules.push_back({"norm", peft::ModuleKind::no_layer});
  Workbench bench(files, models::FullTuning{}, outline);
  TestType norm(bench.builder, "norm", 6, 1e-5);
  Matrix<double> x = random_matrix<double>(4, 6, 3), y(4, 6), d = random_matrix<double>(4, 6, 4);
  const Matrix<double> c = d;
  Tape<double> tape;
  norm.forward(x, &tape, y);
  norm.backward(x, d, tape, GradientTarget<double>::own(), d);
  CHECK(tape.empty());
  CHECK(relative_error(d, finite_difference(x, [&] {
                         norm.forward(x, nullptr, y);
                         return (y.array() * c.array()).sum();
                       })) < 1e-6);
  models::ModelParameters<double> list;
  norm.list(list);
  const Matrix<double> once = list.trained[0]->grad;
  norm.forward(x, &tape, y);
  norm.backward(x, c, tape, GradientTarget<double>::own());
  CHECK(largest_difference(list.trained[0]->grad, 2 * once) < 1e-12);
}

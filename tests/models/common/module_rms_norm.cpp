#include <lora/models/common/module_rms_norm.hpp>

#include "models/common/model_files.hpp"
#include "support/catch.hpp"
#include "support/finite_difference.hpp"
#include "support/tolerance.hpp"

using namespace lora;
using namespace lora::test;

TEST_CASE("an RMS norm of a model trains where its plan says so") {
  ModelFiles files;
  files.add("norm.weight", random_matrix<double>(1, 6, 1), {6});
  models::ModelOutline outline;
  outline.modules.push_back({"norm", peft::ModuleKind::no_layer});
  for (const bool trains : {false, true}) {
    Workbench bench(files, trains ? models::Tuning(models::FullTuning{}) : models::HeadOnly{},
                    outline);
    models::ModuleRMSNorm<double> norm(bench.builder, "norm", 6, 1e-5);
    CHECK(norm.trains() == trains);
    Matrix<double> x = random_matrix<double>(4, 6, 3), y(4, 6), dx(4, 6), same(4, 6);
    const Matrix<double> c = random_matrix<double>(4, 6, 4);
    Tape<double> tape;
    norm.forward(x, &tape, y);
    norm.backward(x, c, tape, GradientTarget<double>::own(), dx);
    norm.forward(x, nullptr, same);
    CHECK(same_bits(same, y));
    const auto loss = [&] {
      norm.forward(x, nullptr, y);
      return (y.array() * c.array()).sum();
    };
    CHECK(relative_error(dx, finite_difference(x, loss)) < 1e-6);
    models::ModelParameters<double> list;
    norm.list(list);
    CHECK(list.total == 6);
    REQUIRE(list.trained.size() == (trains ? 1 : 0));
    if (!trains) continue;
    CHECK(list.trained[0]->name == "norm.weight");
    const Matrix<double> once = list.trained[0]->grad;
    norm.forward(x, &tape, y);
    norm.backward(x, c, tape, GradientTarget<double>::own());
    CHECK(tape.empty());
    CHECK(largest_difference(list.trained[0]->grad, 2 * once) < 1e-12);
  }
}

#include <lora/models/common/module_norm.hpp>

#include "models/common/model_files.hpp"
#include "support/catch.hpp"
#include "support/finite_difference.hpp"
#include "support/tolerance.hpp"

using namespace lora;
using namespace lora::test;
using models::ModelParameters;
using models::ModuleNorm;

namespace {

models::ModelOutline norm_outline() {
  models::ModelOutline one;
  one.modules.push_back({"norm", peft::ModuleKind::no_layer});
  return one;
}

}  // namespace

TEST_CASE("a norm of a model works in place, with gradients of finite differences") {
  constexpr Index d = 6, n = 4;
  ModelFiles files;
  files.add_norm("norm", d);
  SECTION("had back from its output") {}
  SECTION("kept, where an element of gamma is too small to divide by") {
    files = ModelFiles();
    Matrix<double> gamma = random_matrix<double>(1, d, 1);
    gamma(0, 2) = 0;
    files.add("norm.weight", gamma, {d});
    files.add("norm.bias", random_matrix<double>(1, d, 2), {d});
  }
  Workbench bench(files, models::FullTuning{}, norm_outline());
  ModuleNorm<double> norm(bench.builder, "norm", d, 1e-5);
  Matrix<double> x = random_matrix<double>(n, d, 3);
  const Matrix<double> c = random_matrix<double>(n, d, 4);
  Matrix<double> y = x, kept(n, d), dy = c;
  Tape<double> tape;
  norm.forward(y, &tape, kept);
  norm.backward(y, kept, tape, GradientTarget<double>::own(), dy);
  CHECK(tape.empty());
  const auto loss = [&] {
    Matrix<double> out = x;
    norm.forward(out, nullptr, kept);
    return (out.array() * c.array()).sum();
  };
  CHECK(relative_error(dy, finite_difference(x, loss)) < 1e-6);
  ModelParameters<double> list;
  norm.list(list);
  REQUIRE(list.trained.size() == 2);
  CHECK(list.trained[0]->name == "norm.weight");
  CHECK(list.trained[1]->name == "norm.bias");
  CHECK(list.total == 2 * d);
}

TEST_CASE("a norm that does not train lists nothing, and with bias = \"all\" its beta") {
  constexpr Index d = 6;
  ModelFiles files;
  files.add_norm("norm", d);
  const auto trained = [&](const models::Tuning& tuning) {
    models::ModelOutline with = norm_outline();
    with.modules.push_back({"a", peft::ModuleKind::linear});
    Workbench bench(files, tuning, with);
    ModuleNorm<double> norm(bench.builder, "norm", d, 1e-5);
    ModelParameters<double> list;
    norm.list(list);
    std::vector<std::string> names;
    for (const Parameter<double>* parameter : list.trained) names.push_back(parameter->name);
    return names;
  };
  CHECK(trained(models::HeadOnly{}).empty());
  CHECK(trained(lora_of({"a"})).empty());
  peft::PeftConfig biases = lora_of({"a"});
  biases.bias = "all";
  CHECK(trained(biases) == std::vector<std::string>{"norm.bias"});
}

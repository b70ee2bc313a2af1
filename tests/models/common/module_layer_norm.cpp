#include <lora/models/common/module_layer_norm.hpp>

#include <string>
#include <vector>

#include "models/common/model_files.hpp"
#include "support/catch.hpp"
#include "support/tolerance.hpp"

using namespace lora;
using namespace lora::test;

TEST_CASE("a layer norm of a model trains as a whole, its bias alone, or not") {
  ModelFiles files;
  files.add_norm("norm", 6);
  files.add_linear("q_proj", 2, 2);
  models::ModelOutline outline{.model_type = "llama"};
  outline.modules = {{"norm", peft::ModuleKind::no_layer}, {"q_proj", peft::ModuleKind::linear}};
  using Names = std::vector<std::string>;
  const std::vector<std::pair<models::Tuning, Names>> tunings{
      {models::HeadOnly{}, {}},
      {models::FullTuning{}, {"norm.weight", "norm.bias"}},
      {peft::PeftConfig{.bias = "all"}, {"norm.bias"}}};
  const Matrix<double> x = random_matrix<double>(4, 6, 3);
  const LayerNorm<double> plain(files["norm.weight"].transpose(), files["norm.bias"].transpose());
  Matrix<double> expected, y(4, 6);
  plain.forward(x, expected);
  for (const auto& [tuning, names] : tunings) {
    Workbench bench(files, tuning, outline);
    models::ModuleLayerNorm<double> norm(bench.builder, "norm", 6, 1e-5);
    CHECK(norm.trains() == !names.empty());
    norm.forward(x, nullptr, y);
    CHECK(same_bits(y, expected));
    models::ModelParameters<double> list;
    norm.list(list);
    CHECK(list.total == 12);
    Names trained;
    for (const Parameter<double>* parameter : list.trained) trained.push_back(parameter->name);
    CHECK(trained == names);
  }
}

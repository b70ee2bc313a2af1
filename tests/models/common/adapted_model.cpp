// A model of a family that is built nowhere: one linear module.
#include <lora/models/common/adapted_model.hpp>

#include <lora/models/common/module_linear.hpp>

#include "models/common/model_files.hpp"
#include "support/catch.hpp"
#include "support/throws.hpp"
#include "support/tolerance.hpp"

using namespace lora;
using namespace lora::test;

namespace {

struct OneModuleConfig {
  double initializer_range = 0.02;
};

class OneModule : public models::AdaptedModel<double, OneModule, OneModuleConfig> {
 public:
  using FrozenStorage = DenseWeight<double>;
  using Source = models::ModelSource<double, OneModuleConfig>;

  explicit OneModule(const Source& source) : OneModule(source, source.builder(1)) {}

  [[nodiscard]] Matrix<double> output(const Matrix<double>& x) const {
    Matrix<double> y;
    module_.forward(x, nullptr, y);
    return y;
  }

  void list(models::ModelParameters<double>& list) { module_.list(list); }

  template <class Action>
  void for_each_adapted(const Action& action) {
    module_.for_each_adapted(action);
  }

 private:
  OneModule(const Source& source, models::ModelBuilder<double> builder)
      : AdaptedModel(source), module_(builder, "block.q_proj", {4, 3}) {}

  models::ModuleLinear<double, DenseWeight<double>> module_;
};

OneModule::Source one_module_source(ModelFiles& files, const models::Tuning& tuning) {
  models::ModelOutline outline = linear_outline({"block.q_proj"});
  outline.model_type = "llama";
  return {files.write(), OneModuleConfig{}, outline, tuning};
}

}  // namespace

TEST_CASE("a model of any family lists, saves, loads and merges its adapters") {
  ModelFiles files;
  files.add_linear("block.q_proj", 4, 3);
  OneModule model(one_module_source(files, lora_of({"q_proj"})));
  CHECK(model.modules().size() == 1);
  CHECK(model.parameters().size() == 2);
  CHECK(model.stored_parameters().size() == 0);
  CHECK(model.trainable_parameters() == 2 * (4 + 3));
  CHECK(model.total_parameters() == 4 * 3 + 4 + 2 * (4 + 3));
  REQUIRE(model.adapted_layers().size() == 1);
  const Matrix<double> x = random_matrix<double>(5, 3, 1);
  const Matrix<double> base = model.output(x);
  model.adapted_layers()[0].parameters()[1]->value.setOnes();
  const Matrix<double> adapted = model.output(x);
  CHECK(largest_difference(adapted, base) > 1e-3);

  const TemporaryDirectory directory;
  model.save_adapter(directory.path());
  OneModule loaded(one_module_source(files, peft::read_peft_config(directory.path())));
  loaded.load_adapter(directory.path());
  CHECK(same_bits(loaded.output(x), adapted));

  model.merge_adapters();
  CHECK(largest_difference(model.output(x), adapted) <= Tolerance<double>(8, 4).value);
  check_throws<StateError>([&] { model.merge_adapters(); }, "block.q_proj (merge_adapters)");
  model.unmerge_adapters();
  CHECK(same_bits(model.output(x), adapted));
  model.set_adapters_enabled(false);
  CHECK(same_bits(model.output(x), base));
  check_throws<StateError>([&] { model.merge_adapters(); }, "switched off");
}

TEST_CASE("targets that are left out are the model type's when an adapter is loaded") {
  ModelFiles files;
  files.add_linear("block.q_proj", 4, 3);
  OneModule model(one_module_source(files, peft::PeftConfig{}));
  CHECK(model.peft_config().target_modules ==
        peft::ModuleNames(std::vector<std::string>{"q_proj", "v_proj"}));
  OneModule frozen(one_module_source(files, models::HeadOnly{}));
  const TemporaryDirectory directory;
  check_throws<StateError>([&] { frozen.save_adapter(directory.path()); }, "no LoRA adapters");
}

#include <lora/layers/adapted_layer_ref.hpp>

#include <lora/layers/lora_linear.hpp>
#include <lora/layers/lora_linear_group.hpp>

#include "support/random_matrix.hpp"
#include "support/throws.hpp"

using namespace lora;
using namespace lora::test;

namespace {

using Linear2x3 = LoRALinear<float>;

Linear2x3 linear(const std::string& name, bool bias) {
  Linear2x3 layer(DenseWeight<float>(random_matrix<float>(2, 3, 1)), {.rank = 4}, 1,
                  bias ? Vector<float>(Vector<float>::Ones(2)) : Vector<float>());
  layer.set_name(name);
  return layer;
}

// A kind of layer that is not built: its adapter has one tensor, of as many numbers as its rank.
class Diagonal {
 public:
  using Scalar = float;
  explicit Diagonal(Index rank)
      : config_{.rank = rank}, diagonal_("d.lora_diag", Matrix<float>::Zero(1, rank), {rank}) {}

  const std::string& name() const { return name_; }
  const LoRAConfig& config() const { return config_; }
  std::vector<AdapterTensor<float>> adapter_tensors(const LoRAConfig& config) const {
    return {{".lora_diag", {config.rank}, &diagonal_}};
  }
  void check_replace(const LoRAConfig&) const {}
  void replace_adapter(const LoRAConfig& config, std::vector<Matrix<float>> values) {
    config_ = config;
    diagonal_ = Parameter<float>("d.lora_diag", std::move(values.at(0)), {config.rank});
  }
  ParameterList<float> parameters() { return {&diagonal_}; }

 private:
  std::string name_ = "d";
  LoRAConfig config_;
  Parameter<float> diagonal_;
};

// A layer of a user's own with factors and a bias; its B has one, and it takes A and B alone.
class Plain {
 public:
  using Scalar = float;
  explicit Plain(LoRAConfig config)
      : config_(config),
        a_("p.lora_A.weight", Matrix<float>::Zero(1, 3), {1, 3}),
        b_("p.lora_B.weight", Matrix<float>::Zero(2, 1), {2, 1}),
        b_bias_("p.lora_B.bias", Matrix<float>::Zero(1, 2), {2}),
        bias_("p.bias", Matrix<float>::Zero(1, 2), {2}) {}

  const std::string& name() const { return name_; }
  const LoRAConfig& config() const { return config_; }
  const Parameter<float>& lora_A() const { return a_; }
  const Parameter<float>& lora_B() const { return b_; }
  const Parameter<float>& lora_B_bias() const { return b_bias_; }
  bool has_bias() const { return true; }
  Parameter<float>& bias() { return bias_; }
  const Parameter<float>& bias() const { return bias_; }
  void check_replace(const LoRAConfig&) const {}
  void replace_adapter(const LoRAConfig& config, Matrix<float> a, Matrix<float> b) {
    config_ = config;
    a_.value = std::move(a);
    b_.value = std::move(b);
  }
  ParameterList<float> parameters() { return {&a_, &b_}; }

 private:
  std::string name_ = "p";
  LoRAConfig config_;
  Parameter<float> a_, b_, b_bias_, bias_;
};

}  // namespace

static_assert(HasLoRAFactors<Plain> && !DescribesAdapter<Plain>);
static_assert(HasLoRAFactors<Linear2x3> && !DescribesAdapter<Linear2x3>);
static_assert(DescribesAdapter<Diagonal>);
static_assert(AdaptedLayer<const Linear2x3, float> && !AdaptedLayer<Linear2x3, double>);
static_assert(!AdaptedLayerGroup<Linear2x3> && AdaptedLayerGroup<const LoRALinearGroup<float>>);
static_assert(!std::constructible_from<AdaptedLayerRef<float>, const Linear2x3&>);
static_assert(std::constructible_from<AdaptedLayerView<float>, const Linear2x3&>);

TEST_CASE("a linear layer describes A, B and the bias that trains") {
  const Linear2x3 layer = linear("q", true);
  const AdaptedLayerView<float> view(layer);
  CHECK(view.name() == "q");
  CHECK(view.config() == layer.config());
  const auto tensors = view.tensors({.rank = 5, .train_bias = true});
  REQUIRE(tensors.size() == 3);
  CHECK(tensors[0].suffix == ".lora_A.weight");
  CHECK(tensors[0].shape == std::vector<Index>{5, 3});
  CHECK(tensors[0].parameter == &layer.lora_A());
  CHECK(tensors[1].shape == std::vector<Index>{2, 5});
  CHECK(tensors[2].suffix == ".base_layer.bias");
  CHECK(tensors[2].shape == std::vector<Index>{2});
  CHECK(view.tensors({.rank = 5}).size() == 2);
  const Linear2x3 without = linear("v", false);
  CHECK(AdaptedLayerView<float>(without).tensors({.train_bias = true}).size() == 2);
}

TEST_CASE("an adapter is replaced through its reference") {
  Linear2x3 layer = linear("q", true);
  const AdaptedLayerRef<float> ref(layer);
  const LoRAConfig config{.rank = 1, .alpha = 3, .train_bias = true};
  ref.replace_adapter(config, {Matrix<float>::Constant(1, 3, 2), Matrix<float>::Constant(2, 1, 4),
                               Matrix<float>::Constant(1, 2, 8)});
  CHECK(layer.config() == config);
  CHECK(layer.lora_A().value.isConstant(2));
  CHECK(layer.lora_B().value.isConstant(4));
  CHECK(layer.bias().value.isConstant(8));
  CHECK(ref.parameters().size() == 3);
  CHECK_THROWS_AS(ref.check_replace({.rank = 0}), ConfigError);
}

TEST_CASE("a kind of layer that describes itself needs nothing else") {
  Diagonal layer(3);
  const AdaptedLayerRef<float> ref(layer);
  CHECK(ref.tensors({.rank = 7}).at(0).shape == std::vector<Index>{7});
  ref.replace_adapter({.rank = 2}, {Matrix<float>::Constant(1, 2, 5)});
  CHECK(ref.config().rank == 2);
  CHECK(ref.parameters()[0]->value.isConstant(5));
}

TEST_CASE("a layer that takes A and B alone is given no other tensor in the place of its bias") {
  Plain layer({.rank = 1});
  const AdaptedLayerRef<float> ref(layer);
  const Matrix<float> a = Matrix<float>::Constant(1, 3, 2), b = Matrix<float>::Constant(2, 1, 4),
                      row = Matrix<float>::Constant(1, 2, 8);
  const LoRAConfig before = layer.config();
  check_throws<ConfigError>(
      [&] {
        ref.replace_adapter({.rank = 1, .lora_bias = true}, {a, b, row});
      },
      "\"p\": lora_bias is set, and this layer's replace_adapter takes A and B alone");
  check_throws<ConfigError>(
      [&] {
        ref.replace_adapter({.rank = 1, .use_dora = true}, {a, b, row});
      },
      "\"p\": use_dora is set, and this layer's replace_adapter takes A and B alone");
  check_throws<ConfigError>([&] { ref.check_replace({.rank = 1, .lora_bias = true}); },
                            "\"p\": lora_bias is set");
  CHECK(layer.config() == before);
  CHECK(layer.lora_A().value.isZero(0));
  CHECK(layer.bias().value.isZero(0));
  ref.replace_adapter({.rank = 1, .train_bias = true}, {a, b, row});
  CHECK(layer.lora_B().value.isConstant(4));
  CHECK(layer.bias().value.isConstant(8));
}

TEST_CASE("layers and groups are listed in their order") {
  std::vector<LoRALinear<float>> parts;
  parts.push_back(linear("b", false));
  parts.push_back(linear("c", false));
  LoRALinearGroup<float> group(std::move(parts));
  Linear2x3 first = linear("a", false);
  Diagonal last(1);
  std::string names;
  for (const auto& ref : list_adapted_layers<AdaptedLayerRef<float>>(first, group, last))
    names += ref.name();
  CHECK(names == "abcd");
}

TEST_CASE("two layers of one name are refused") {
  const Linear2x3 a = linear("same\n", false), b = linear("same\n", false);
  const std::vector<AdaptedLayerView<float>> views{a, b};
  check_throws<ConfigError>([&] { require_distinct_layers<float>(views, "here"); },
                            "here: two layers are called \"same\\n\"");
}

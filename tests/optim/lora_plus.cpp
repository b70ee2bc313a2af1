#include <lora/optim/lora_plus.hpp>

#include <list>
#include <string>

#include <lora/optim/adamw.hpp>
#include <lora/optim/sgd.hpp>

#include "support/golden.hpp"
#include "support/throws.hpp"

using namespace lora;
using namespace lora::test;

TEST_CASE("every parameter gets the rate and the decay that PEFT's LoRA+ gives it") {
  const Golden<double> golden("lora_optimizers");
  const std::string names[] = {"embedding.lora_embedding_A",
                               "embedding.lora_embedding_B",
                               "embedding.lora_magnitude_vector.weight",
                               "linear.base_layer.bias",
                               "linear.lora_A.weight",
                               "linear.lora_B.weight",
                               "linear.lora_magnitude_vector.weight",
                               "norm.weight",
                               "norm.bias",
                               "head.weight",
                               "head.bias"};
  std::list<Parameter<double>> parameters;
  ParameterList<double> list;
  for (const std::string& name : names) {
    const bool is_vector = golden["plus." + name](0, 2) == 1;
    parameters.emplace_back(name, Matrix<double>(Matrix<double>::Ones(1, 2)),
                            is_vector ? std::vector<Index>{2} : std::vector<Index>{1, 2});
    list.add(parameters.back());
  }
  const AdamWConfig config =
      with_lora_plus<double>(AdamWConfig{.learning_rate = 1e-3, .weight_decay = 0.25}, list);
  for (const std::string& name : names) {
    CAPTURE(name);
    const ParameterGroup* group = group_of(config.groups, name);
    const double rate = group != nullptr ? group->learning_rate_ratio : 1;
    const double decay = group != nullptr ? group->weight_decay.value_or(0.25) : 0.25;
    CHECK(std::abs(rate / golden["plus." + name](0, 0) - 1) < 1e-6);
    CHECK(decay == golden["plus." + name](0, 1));
  }
  AdamW<double> optimizer(config);
  optimizer.step(list);
  optimizer.step(list);  // every group has matched
}

TEST_CASE("LoRA+ refuses what it cannot make groups of") {
  Parameter<float> a("x.lora_A.weight", Matrix<float>::Ones(1, 2)),
      b("x.lora_B.weight", Matrix<float>::Ones(2, 1)),
      e("e.lora_embedding_B", Matrix<float>::Ones(2, 1));
  check_throws<ConfigError>([&] { static_cast<void>(with_lora_plus<float>(SGDConfig{}, {&a})); },
                            "with_lora_plus: no parameter has lora_B");
  check_throws<ConfigError>(
      [&] {
        static_cast<void>(with_lora_plus<float>(SGDConfig{}, {&a, &b}, {.ratio = -1}));
      },
      "ratio is -1");
  check_throws<ConfigError>(
      [&] {
        static_cast<void>(
            with_lora_plus<float>(AdamWConfig{.groups = {{.name_contains = "x"}}}, {&a, &b}));
      },
      "has groups already");
  check_throws<ConfigError>(
      [&] {
        static_cast<void>(with_lora_plus<float>(AdamWConfig{.learning_rate = 0}, {&e, &b}));
      },
      "learning_rate is 0");
  const SGDConfig config = with_lora_plus<float>(SGDConfig{}, {&a, &b}, {.ratio = 4});
  REQUIRE(config.groups.size() == 1);
  CHECK(config.groups[0] == ParameterGroup{.name_contains = "x.lora_B.weight",
                                           .learning_rate_ratio = 4,
                                           .whole_name = true});
}

#include <lora/optim/adamw.hpp>

#include <lora/optim/sgd.hpp>

#include "contracts/optimizer.hpp"
#include "optim/golden_runs.hpp"
#include "support/threads.hpp"
#include "support/throws.hpp"

using namespace lora;
using namespace lora::test;

TEMPLATE_TEST_CASE("AdamW's steps are PyTorch's to the last digit", "", float, double) {
  using T = TestType;
  check_golden_run<T>("adamw_default", AdamW<T>(), 4);
  check_golden_run<T>("adamw_settings",
                      AdamW<T>({.learning_rate = 3e-2,
                                .beta1 = 0.8,
                                .beta2 = 0.95,
                                .epsilon = 1e-6,
                                .weight_decay = 0.3}),
                      4);
}

TEST_CASE("parameter groups let B learn faster than A, as PyTorch's groups do") {
  const Golden<float> golden("adamw_groups_f32");
  Parameter<float> a("q.lora_A.weight", golden["start_a"]);
  Parameter<float> b("q.lora_B.weight", golden["start_b"]);
  AdamW<float> optimizer(
      {.learning_rate = 1e-3,
       .weight_decay = 0.1,
       .groups = {{.name_contains = "lora_B", .learning_rate_ratio = 16, .weight_decay = 0.0}}});
  for (int step = 0; step < 10; ++step) {
    const std::string number = std::to_string(step);
    a.grad = golden["grad_a" + number];
    b.grad = golden["grad_b" + number];
    optimizer.step(std::array<Parameter<float>*, 2>{&a, &b});
  }
  const float bound = 20 * std::numeric_limits<float>::epsilon();  // ten steps, two roundings each
  CHECK(largest_difference(a.value, golden["value_a9"]) <= bound * 4);
  CHECK(largest_difference(b.value, golden["value_b9"]) <= bound * 4);
}

TEMPLATE_TEST_CASE("AdamW keeps the contract of an optimizer", "", float, double) {
  check_optimizer<TestType>([] {
    return AdamW<TestType>(
        {.groups = {
             {.name_contains = "lora_B", .learning_rate_ratio = 4, .may_match_nothing = true}}});
  });
}

TEST_CASE("a group that matches nothing is refused when parameters come again") {
  const std::vector<ParameterGroup> groups{{.name_contains = "lora_b", .learning_rate_ratio = 16}};
  Parameter<float> a("q.lora_A.weight", random_matrix<float>(2, 2, 1));
  Parameter<float> b("q.lora_B.weight", random_matrix<float>(2, 2, 2));
  a.grad = b.grad = a.value;
  const auto check = [&](auto optimizer, const std::string& where) {
    optimizer.step({&a});
    optimizer.step({&b});
    const Matrix<float> before = a.value;
    check_throws<ConfigError>([&] { optimizer.step({&a}); },
                              where + ": the group \"lora_b\" matches no parameter");
    CHECK(same_bits(a.value, before));
    // The name decides, as it is now.
    b.name = "q.lora_b.weight";
    CHECK_NOTHROW(optimizer.step({&b}));
    CHECK_NOTHROW(optimizer.step({&a}));
    b.name = "q.lora_B.weight";
  };
  check(AdamW<float>({.groups = groups}), "AdamW::step");
  check(SGD<float>({.groups = groups}), "SGD::step");
}

TEST_CASE("AdamW's groups follow the names that parameters have now") {
  // With a rate of 0 for the group, what belongs to it stands still.
  AdamW<float> optimizer({.groups = {{.name_contains = "head", .learning_rate_ratio = 0}}});
  Parameter<float> p("head.weight", random_matrix<float>(2, 2, 1));
  p.grad = p.value;
  const Matrix<float> start = p.value;
  optimizer.step({&p});
  CHECK(same_bits(p.value, start));
  p.name = "body.weight";
  optimizer.step({&p});
  CHECK_FALSE(same_bits(p.value, start));
}

TEST_CASE("AdamW gives the same bits for any number of threads") {
  Matrix<float> one;
  for (const int count : {1, 2, 3}) {
    const Threads threads(count);
    Parameter<float> p("p", random_matrix<float>(700, 301, 1));
    AdamW<float> optimizer;
    for (std::uint64_t step = 0; step < 3; ++step) {
      p.grad = random_matrix<float>(700, 301, 2 + step);
      optimizer.step(std::array<Parameter<float>*, 1>{&p});
    }
    if (count == 1) one = p.value;
    CHECK(same_bits(one, p.value));
  }
}

TEST_CASE("AdamW refuses settings out of range") {
  CHECK_THROWS_AS(AdamW<float>({.learning_rate = -1}), ConfigError);
  CHECK_THROWS_AS(AdamW<float>({.learning_rate = std::nan("")}), ConfigError);
  CHECK_THROWS_AS(AdamW<float>({.beta1 = 1}), ConfigError);
  CHECK_THROWS_AS(AdamW<float>({.beta2 = -0.1}), ConfigError);
  CHECK_THROWS_AS(AdamW<float>({.epsilon = -1e-8}), ConfigError);
  CHECK_THROWS_AS(AdamW<float>({.weight_decay = HUGE_VAL}), ConfigError);
  CHECK_THROWS_AS(AdamW<float>({.groups = {{.name_contains = "", .learning_rate_ratio = -1}}}),
                  ConfigError);
}

TEST_CASE("AdamW refuses an incomplete state and keeps its own") {
  AdamW<float> optimizer;
  Parameter<float> p("p", random_matrix<float>(2, 2, 1));
  p.grad = p.value;
  optimizer.step(std::array<Parameter<float>*, 1>{&p});
  auto state = optimizer.state();
  state.tensors.erase("p.exp_avg_sq");
  CHECK_THROWS_AS(optimizer.set_state(state), StateError);
  CHECK(optimizer.state().steps.at("p") == 1);
  state.tensors["p.exp_avg_sq"] = Matrix<float>::Zero(3, 2);
  CHECK_THROWS_AS(optimizer.set_state(state), ShapeError);
  state = optimizer.state();
  state.tensors["q.exp_avg"] = Matrix<float>::Zero(3, 2);
  CHECK_THROWS_AS(optimizer.set_state(state), StateError);
}

TEST_CASE("AdamW with a beta1 of 1/2 or less computes as torch.lerp does near its end") {
  // PyTorch 2.13.0: one parameter of 1, gradients 0.3 and -0.7, in float32.
  //     p = torch.nn.Parameter(torch.ones(1)); torch.optim.AdamW([p], lr=0.1, betas=(b, 0.9))
  struct Moments {
    double beta1;
    float first, second;
  };
  for (const auto& [beta1, first, second] : {Moments{0.5, 0x1.333334p-3F, -0x1.199998p-2F},
                                             Moments{0.3, 0x1.ae147cp-3F, -0x1.b53f7cp-2F},
                                             Moments{0.0, 0x1.333334p-2F, -0x1.666666p-1F}}) {
    Parameter<float> p("p", Matrix<float>::Ones(1, 1));
    AdamW<float> optimizer({.learning_rate = 0.1, .beta1 = beta1, .beta2 = 0.9});
    p.grad(0, 0) = 0.3F;
    optimizer.step({&p});
    CHECK(optimizer.state().tensors.at("p.exp_avg")(0, 0) == first);
    p.grad(0, 0) = -0.7F;
    optimizer.step({&p});
    CHECK(optimizer.state().tensors.at("p.exp_avg")(0, 0) == second);
  }
}

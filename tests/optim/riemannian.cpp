#include <lora/optim/riemannian.hpp>

#include <string>

#include <lora/optim/adamw.hpp>
#include <lora/optim/sgd.hpp>

#include "support/golden.hpp"
#include "support/throws.hpp"
#include "support/tolerance.hpp"

using namespace lora;
using namespace lora::test;

TEST_CASE("preconditioned steps are PEFT's") {
  const Golden<float> golden("lora_optimizers");
  Parameter<float> a("x.lora_A.weight", golden["riemannian.a"]),
      b("x.lora_B.weight", golden["riemannian.b"]);
  Riemannian optimizer(SGD<float>({.learning_rate = 1e-2}));
  const ParameterList<float> list{&b, &a};
  for (int step = 0; step < 4; ++step) {
    const std::string number = std::to_string(step);
    a.grad = golden["riemannian.da" + number];
    b.grad = golden["riemannian.db" + number];
    optimizer.step(list);
    CHECK(largest_difference(a.value, golden["riemannian.a" + number]) < 1e-5);
    CHECK(largest_difference(b.value, golden["riemannian.b" + number]) < 1e-5);
  }
}

TEST_CASE("only pairs are preconditioned") {
  Parameter<float> a("x.lora_A.weight", Matrix<float>::Ones(2, 3)),
      b("y.lora_B.weight", Matrix<float>::Ones(4, 2)),
      three("x.lora_B.weight", Matrix<float>::Ones(4, 3));
  a.grad.setOnes();
  CHECK(precondition_gradients<float>({&a, &b}) == 0);
  CHECK((a.grad.array() == 1).all());
  check_throws<ShapeError>(
      [&] {
        precondition_gradients<float>({&a, &three});
      },
      "x.lora_B.weight is (4, 3), expected (out = 4, rank = 2)");
  check_throws<ConfigError>([&] { precondition_gradients<float>({&a}, -1); }, "damping is -1");
  Riemannian optimizer(AdamW<float>(), 0.1);
  CHECK(optimizer.damping() == 0.1);
  check_throws<ConfigError>(
      [&] {
        optimizer.step(ParameterList<float>{&a, &b});
      },
      "no parameters are a pair");
}

#include <lora/core/gradients.hpp>

#include "support/catch.hpp"
#include "support/random_matrix.hpp"
#include "support/throws.hpp"

using namespace lora;
using namespace lora::test;

TEST_CASE("gradients outside of the layers are summed where they are told to") {
  Parameter<float> a("a", random_matrix<float>(2, 3, 1)), b("b", random_matrix<float>(1, 4, 2));
  const ParameterList<float> list{&a, &b};
  Gradients<float> gradients(list);
  GradientTarget<float>(gradients).of(a).setConstant(2);
  CHECK(a.grad.isZero());
  CHECK(gradients.of(a).sum() == 12);
  CHECK(gradients.of(b).isZero());
  a.grad.setConstant(1);
  gradients.add_to(list);
  CHECK(a.grad.sum() == 18);
  CHECK(b.grad.isZero());
  gradients.zero();
  CHECK(gradients.of(a).isZero());

  GradientTarget<float>::own().of(b).setConstant(3);
  CHECK(b.grad.sum() == 12);
}

TEST_CASE("gradients belong to parameters, whatever their names") {
  Parameter<float> a("p", random_matrix<float>(2, 3, 1)), other("p", random_matrix<float>(2, 3, 2));
  Gradients<float> gradients(ParameterList<float>{&a});
  check_throws<StateError>([&] { static_cast<void>(gradients.of(other)); },
                           "Gradients: no gradient for the parameter \"p\"");
  CHECK_THROWS_AS(gradients.add_to({&a, &other}), StateError);
  CHECK_THROWS_AS(Gradients<float>({&a, &a}), ConfigError);
  const Parameter<float> moved = std::move(a);
  CHECK(gradients.of(moved).rows() == 2);
}

#include <lora/io/parameter_values.hpp>

#include <string>
#include <vector>

#include <lora/layers/lora_linear.hpp>

#include "support/catch.hpp"
#include "support/random_matrix.hpp"
#include "support/tolerance.hpp"

using namespace lora;
using namespace lora::io;
using namespace lora::test;

TEST_CASE("values are set by name, all or none") {
  Parameter<float> a("a", random_matrix<float>(2, 3, 1)), b("b", random_matrix<float>(1, 2, 2));
  const std::vector<Parameter<float>*> both{&a, &b};
  auto values = values_of<float>(both);
  const Matrix<float> first = a.value;
  a.value.setZero();
  a.grad.setOnes();
  set_values<float>(both, values);
  CHECK(same_bits(a.value, first));
  CHECK(a.grad.isZero());

  a.value.setZero();
  const auto refused = [&](const auto& changed) {
    CHECK_THROWS(set_values<float>(both, changed));
    CHECK(a.value.isZero());
  };
  auto changed = values;
  changed.erase("b");
  refused(changed);
  changed = values;
  changed["c"] = first;
  refused(changed);
  changed = values;
  changed["b"] = first;
  refused(changed);
  CHECK_THROWS_AS(values_of<float>(std::vector<Parameter<float>*>{&a, &a}), ConfigError);
}

TEST_CASE("the parameters of slots are those that train") {
  LoRALinear<float> plain(DenseWeight<float>(Matrix<float>::Zero(4, 3)), {.rank = 2}, 1);
  LoRALinear<float> with_bias(DenseWeight<float>(Matrix<float>::Zero(4, 3)),
                              {.rank = 2, .train_bias = true}, 1, Vector<float>::Ones(4));
  CHECK(io::parameters_of<float>({plain, with_bias}).size() == 5);
}

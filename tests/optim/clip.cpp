#include <lora/optim/clip.hpp>

#include <array>
#include <limits>

#include "support/catch.hpp"
#include "support/golden.hpp"
#include "support/tolerance.hpp"

using namespace lora;
using namespace lora::test;

TEST_CASE("clipping by the global norm is PyTorch's") {
  const Golden<double> golden("clip_f64");
  for (const std::string name : {"clipped", "kept"}) {
    std::array<Parameter<double>, 2> parameters;
    for (int i = 0; i < 2; ++i) {
      const auto& gradient = golden[name + "_before" + std::to_string(i)];
      auto& parameter = parameters[static_cast<std::size_t>(i)];
      parameter = Parameter<double>("p", Matrix<double>::Zero(gradient.rows(), gradient.cols()));
      parameter.grad = gradient;
    }
    const std::array<Parameter<double>*, 2> list{&parameters[0], &parameters[1]};
    const double norm = clip_grad_norm(list, golden[name + "_max"](0, 0));
    CHECK(norm == Approx(golden[name + "_norm"](0, 0)).epsilon(1e-15));
    for (int i = 0; i < 2; ++i)
      CHECK(largest_difference(parameters[static_cast<std::size_t>(i)].grad,
                               golden[name + "_after" + std::to_string(i)]) <=
            Tolerance<double>(1).value);
  }
}

TEST_CASE("clipping refuses a bound that is none") {
  const std::array<Parameter<float>*, 0> none{};
  CHECK_THROWS_AS(clip_grad_norm(none, -1), ConfigError);
  CHECK_THROWS_AS(clip_grad_norm(none, std::numeric_limits<double>::quiet_NaN()), ConfigError);
  CHECK(clip_grad_norm(none, 1) == 0);
}

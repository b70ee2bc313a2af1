#include <lora/optim/clip.hpp>

#include <array>
#include <limits>

#include "support/catch.hpp"
#include "support/golden.hpp"
#include "support/throws.hpp"
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
      parameter = Parameter<double>("p" + std::to_string(i),
                                    Matrix<double>::Zero(gradient.rows(), gradient.cols()));
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

TEST_CASE("clipping refuses gradients that would spoil the run") {
  Parameter<float> a("a", Matrix<float>::Zero(2, 2)), b("head.bias", Matrix<float>::Zero(1, 2));
  const ParameterList<float> list{&a, &b};
  for (const float bad :
       {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity()}) {
    a.grad.setConstant(3);
    b.grad << 1, bad;
    check_throws<StateError>([&] { clip_grad_norm(list, 1); },
                             "clip_grad_norm: the gradient of \"head.bias\" is infinite or NaN");
    CHECK(a.grad(0, 0) == 3);
    static_cast<void>(clip_grad_norm(list, 1, NonFinite::scale));
    CHECK(!(a.grad(0, 0) == 3));
  }
}

TEST_CASE("clipping refuses two parameters of one name") {
  Parameter<float> a("a", Matrix<float>::Zero(2, 2)), b = a;
  CHECK_THROWS_AS(clip_grad_norm(ParameterList<float>{&a, &b}, 1), ConfigError);
}

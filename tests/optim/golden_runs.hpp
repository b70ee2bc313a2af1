#pragma once

#include <array>
#include <string>

#include <lora/core/parameter_list.hpp>

#include "support/catch.hpp"
#include "support/golden.hpp"

namespace lora::test {

/// Returns how many representable numbers lie between a and b, taken at the larger one's size but
/// not below `floor`'s.
template <class T>
[[nodiscard]] double ulps_apart(T a, T b, T floor) {
  const T size = std::max({std::abs(a), std::abs(b), floor});
  const T ulp = std::nextafter(size, std::numeric_limits<T>::infinity()) - size;
  return static_cast<double>(std::abs(a - b) / ulp);
}

/// Replays PyTorch's run of twenty steps: from PyTorch's own value before each step (only moments
/// carry over), so that what is compared is one update, not a sum of roundings. `ulps` is how far
/// a value may be off, in units of its last digit: PyTorch rounds every product and every sum, a
/// compiler here may fuse the two, and the moments carry twenty steps of that. (Without fusing,
/// GCC's -ffp-contract=off, 824 of AdamW's 840 floats are PyTorch's bits.)
template <class T, class Optimizer>
void check_golden_run(const std::string& name, Optimizer optimizer, double ulps) {
  const Golden<T> golden(name + (std::is_same_v<T, float> ? "_f32" : "_f64"));
  Parameter<T> parameter("p", golden["start"]);
  double worst = 0;
  for (int step = 0; step < 20; ++step) {
    const std::string number = std::to_string(step);
    parameter.grad = golden["grad" + number];
    const Matrix<T> before = parameter.value;
    optimizer.step(std::array<Parameter<T>*, 1>{&parameter});
    const Matrix<T>& expected = golden["value" + number];
    for (Index i = 0; i < expected.size(); ++i) {
      // What is added to a value is of the size of the change, which cancellation can leave bare.
      const T size =
          std::max(std::abs(before.data()[i]), std::abs(expected.data()[i] - before.data()[i]));
      worst = std::max(worst, ulps_apart(parameter.value.data()[i], expected.data()[i], size));
    }
    parameter.value = expected;
  }
  CAPTURE(name);
  CHECK(worst <= ulps);
}

}  // namespace lora::test

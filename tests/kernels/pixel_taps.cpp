#include <lora/kernels/pixel_taps.hpp>

#include <map>
#include <set>
#include <tuple>

#include "support/catch.hpp"
#include "support/naive_conv2d.hpp"

using namespace lora;
using namespace lora::kernels;

TEST_CASE("the taps of the input's phases are those of the result, seen from the other side") {
  using Step = std::tuple<Index, Index, Index>;  // pixel of the result, of the input, element
  for (const Window& window : test::windows)
    for (const Index width : {6, 7}) {
      CAPTURE(window.kernel_height, window.stride_height, width);
      const ImageShape in{2, 5, width}, out = output_shape(window, in, "here");
      const PixelTaps forward = window_taps(window, in, out);
      REQUIRE(forward.rows() == out.rows());
      REQUIRE(forward.taps() == window.taps());
      std::set<Step> there, back;
      for (Index row = 0; row < forward.rows(); ++row)
        for (Index t = 0; t < forward.taps(); ++t)
          if (const Index pixel = forward.pixel(forward.place(row), t); pixel >= 0)
            there.emplace(row, pixel, t);
      std::map<Index, int> seen;
      for (Index y = 0; y < window.stride_height; ++y)
        for (Index x = 0; x < window.stride_width; ++x) {
          const Phase phase(window, in, out, y, x);
          for (Index row = 0; row < phase.taps.rows(); ++row) {
            ++seen[phase.input_row(row)];
            for (Index t = 0; t < phase.taps.taps(); ++t)
              if (const Index pixel = phase.taps.pixel(phase.taps.place(row), t); pixel >= 0)
                back.emplace(pixel, phase.input_row(row), phase.kernel_tap(t));
          }
        }
      CHECK(there == back);
      // Every pixel of the input is in one phase.
      CHECK(static_cast<Index>(seen.size()) == in.rows());
      for (const auto& [pixel, times] : seen) CHECK(times == 1);
    }
}

TEST_CASE("places that are their own pixels are known") {
  const ImageShape in{2, 5, 4};
  CHECK(window_taps(Window{}, in, in).is_identity());
  for (const Window& window : {Window::square(1, 2), Window::square(3, 1, 1)})
    CHECK(!window_taps(window, in, output_shape(window, in, "here")).is_identity());
}

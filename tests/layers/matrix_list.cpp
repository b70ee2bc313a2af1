#include <lora/layers/matrix_list.hpp>

#include <array>
#include <span>
#include <vector>

#include "support/catch.hpp"

using namespace lora;

TEST_CASE("a list of outputs is made from matrices and from memory of the caller's") {
  std::vector<Matrix<float>> matrices(3);
  const OutputList<float> of_vector = matrices;
  REQUIRE(of_vector.size() == 3);
  static_cast<void>(of_vector[1].shaped(2, 5, "here", "y"));
  CHECK(matrices[1].cols() == 5);
  const OutputList<float> of_span = std::span<Matrix<float>>(matrices).subspan(1);
  CHECK(of_span.size() == 2);

  std::array<float, 6> memory{};
  const std::vector<MatrixRef<float>> views{{memory.data(), 1, 3, 3}, {memory.data() + 3, 1, 3, 3}};
  const OutputList<float> of_views = views;
  of_views[1].shaped(1, 3, "here", "y").setConstant(2);
  CHECK(memory[2] == 0);
  CHECK(memory[5] == 2);
}

TEST_CASE("a list of inputs views matrices, and knows the size of one that is too long") {
  const std::vector<Matrix<float>> matrices(9, Matrix<float>::Ones(2, 2));
  InputList<float> one;
  CHECK(one.size() == 0);
  one.add(matrices[3]);
  CHECK(one[0].data() == matrices[3].data());
  const InputList<float> list = matrices;
  CHECK(list.size() == 9);
  CHECK(list[7].data() == matrices[7].data());
  STATIC_REQUIRE_FALSE(std::convertible_to<const std::vector<Matrix<float>>&, OutputList<float>>);
  STATIC_REQUIRE_FALSE(std::convertible_to<std::vector<Matrix<double>>&, InputList<float>>);
}

#include <lora/io/tensor_view.hpp>

#include <array>

#include "support/catch.hpp"

using namespace lora::io;

TEST_CASE("shape_text writes shapes as Python does") {
  CHECK(shape_text({}) == "()");
  CHECK(shape_text({3}) == "(3,)");
  CHECK(shape_text({2, 3}) == "(2, 3)");
}

TEST_CASE("a tensor is lent in place only where type and alignment allow it") {
  alignas(8) std::array<std::byte, 16> memory{};
  const TensorView view{DType::F32, {2}, std::span(memory).first(8)};
  CHECK(static_cast<const void*>(view.data_as<float>()) == memory.data());
  CHECK(view.data_as<double>() == nullptr);
  const TensorView shifted{DType::F32, {2}, std::span(memory).subspan(1, 8)};
  CHECK(shifted.data_as<float>() == nullptr);
}

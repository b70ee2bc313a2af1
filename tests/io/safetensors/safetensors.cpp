#include <lora/io/safetensors/safetensors.hpp>

#include "support/catch.hpp"
#include "support/random_matrix.hpp"
#include "support/temporary_directory.hpp"
#include "support/tolerance.hpp"

using namespace lora;
using namespace lora::test;

TEST_CASE("one include writes a file and reads it") {
  const TemporaryDirectory directory;
  const Matrix<float> matrix = random_matrix<float>(2, 3, 1);
  io::write_safetensors(directory / "a.safetensors", {io::make_tensor("a", matrix)});
  CHECK(same_bits(io::SafetensorsReader(directory / "a.safetensors").read<float>("a"), matrix));
}

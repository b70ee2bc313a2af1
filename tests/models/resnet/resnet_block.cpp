#include <lora/models/resnet/resnet_block.hpp>

#include "models/resnet/golden_resnet.hpp"
#include "support/allocations.hpp"
#include "support/catch.hpp"
#include "support/random_matrix.hpp"
#include "support/threads.hpp"
#include "support/tolerance.hpp"

using namespace lora;
using namespace lora::models;
using namespace lora::test;

TEST_CASE("a block keeps its inner activations, and its second step allocates nothing") {
  const Threads counted(countable_threads(2));
  peft::PeftConfig lora;
  lora.r = 2;
  lora.target_modules = std::vector<std::string>{"convolution"};
  const ResNetSource<float> source(resnet_data("bottleneck"), {.tuning = lora});
  auto builder = source.builder(1);
  const ResNetNames names(ResNetNaming::hugging_face);
  const ResNetBlock<float, PackedWeight<float>> block(builder, names, names.block(1, 0),
                                                      ResNetBlockSizes(source.config, 1, 0));
  const ImageShape in{2, 9, 8}, out = block.output_shape(in);
  CHECK(out == ImageShape{2, 5, 4});
  const Matrix<float> x = random_matrix<float>(in.rows(), 16, 1);
  Matrix<float> y(out.rows(), block.out_channels()), again = y, dy = y, dx(in.rows(), 16);
  block.forward(x, in, nullptr, y);
  CHECK((y.array() >= 0).all());
  Tape<float> tape;
  ModelParameters<float> parameters;
  const_cast<ResNetBlock<float, PackedWeight<float>>&>(block).list(parameters);
  const MatrixRef<float> to(dx);
  const auto step = [&] {
    block.forward(x, in, &tape, again);
    dy.setOnes();
    relu_backward<float>(again, dy, dy);
    block.backward(x, in, dy, tape, GradientTarget<float>::own(), &to);
  };
  step();
  CHECK(same_bits(again, y));
  CHECK(tape.empty());
  CHECK(allocations_of(step).count == 0);
  CHECK(parameters.slots.size() == 4);
}

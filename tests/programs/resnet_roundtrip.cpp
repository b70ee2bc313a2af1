// Loads ResNets with adapters that PEFT wrote, computes logits with them, and writes the adapters
// back: the C++ side of tests/conformance/resnet_roundtrip.py, which says what the arguments are.
// What is refused is told adapter by adapter, in OUTPUT/<case>/refused.txt.
#include "round_trip.hpp"

using namespace lora;

int main(int argc, char** argv) {
  if (argc != 3) {
    std::cerr << "usage: " << argv[0] << " CASES OUTPUT\n";
    return 2;
  }
  return test::for_each_case(argv[1], argv[2], [](const auto& from, const auto& to) {
    const io::SafetensorsReader file(from / "pixels.safetensors");
    const Matrix<double> size = file.read<double>("size");  // images, height, width
    const auto extent = [&](Index i) { return static_cast<Index>(size(0, i)); };
    const models::ImageBatch<float> batch{{extent(0), extent(1), extent(2)},
                                          file.read<float>("pixels")};
    const auto adapter = from / "adapter";
    test::round_trip(models::ResNetClassifier<float>(from / "model",
                                                     {.tuning = peft::read_peft_config(adapter)}),
                     batch, adapter, to);
  });
}

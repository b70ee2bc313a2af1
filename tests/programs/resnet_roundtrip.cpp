// Loads ResNets with adapters that PEFT wrote, computes logits with them, and writes the adapters
// back: the C++ side of tests/conformance/resnet_roundtrip.py, which says what the arguments are.
// What is refused is told adapter by adapter, in OUTPUT/<case>/refused.txt.
#include <exception>
#include <filesystem>
#include <fstream>
#include <iostream>

#include <lora/models.hpp>

namespace fs = std::filesystem;
using namespace lora;

namespace {

void round_trip(const fs::path& from, const fs::path& to) {
  const io::SafetensorsReader file(from / "pixels.safetensors");
  const Matrix<double> size = file.read<double>("size");  // images, height, width
  const auto extent = [&](Index i) { return static_cast<Index>(size(0, i)); };
  const models::ImageBatch<float> batch{{extent(0), extent(1), extent(2)},
                                        file.read<float>("pixels")};
  const fs::path adapter = from / "adapter";
  models::ResNetClassifier<float> model(from / "model",
                                        {.tuning = peft::read_peft_config(adapter)});
  model.load_adapter(adapter);
  Matrix<float> logits;
  model.forward(batch, logits);
  model.save_adapter(to);
  io::write_safetensors(to / "logits.safetensors", {io::make_tensor("logits", logits)});
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 3) {
    std::cerr << "usage: " << argv[0] << " CASES OUTPUT\n";
    return 2;
  }
  try {
    for (const auto& entry : fs::directory_iterator(argv[1])) {
      const fs::path to = fs::path(argv[2]) / entry.path().filename();
      try {
        round_trip(entry.path(), to);
      } catch (const FileError& error) {
        fs::create_directories(to);
        std::ofstream(to / "refused.txt") << error.what() << '\n';
      }
    }
  } catch (const std::exception& error) {
    std::cerr << error.what() << '\n';
    return 1;
  }
}

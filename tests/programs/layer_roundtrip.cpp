// Loads single layers with adapters that PEFT wrote, computes with them, and writes the adapters
// back: the C++ side of tests/conformance/layers_roundtrip.py, which says what the arguments are.
// The numbers are double, as in PEFT's files.
#include <exception>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <vector>

#include <lora/io.hpp>
#include <lora/lora.hpp>

using namespace lora;

namespace {

using Path = std::filesystem::path;

// Saves y and the adapter as it was loaded.
template <class Layer, class Forward>
void round_trip(Layer& layer, const Path& from, const Path& to, const Forward& forward) {
  const peft::PeftConfig config = peft::load_adapter(from / "adapter", layer);
  Matrix<double> y;
  forward(y);
  peft::save_adapter(to, layer, {.config = config});
  io::write_safetensors(to / "results.safetensors", {io::make_tensor("y", y)});
}

// Sizes as in the numbers of torch.nn.Conv2d, a sequence's height and kernel height being 1:
// groups, kernel, strides, paddings.
void convolution(const io::SafetensorsReader& file, const Path& from, const Path& to) {
  const Matrix<double> sizes = file.read<double>("window"), shape = file.read<double>("shape");
  const auto size = [&](Index i) { return static_cast<Index>(sizes(0, i)); };
  const auto extent = [&](Index i) { return static_cast<Index>(shape(0, i)); };
  const Matrix<double> x = file.read<double>("x"), bias = file.read<double>("bias");
  const Vector<double> b = bias.row(0).transpose();
  const LoRAConfig config{.rank = size(0)};
  if (shape.cols() == 2) {
    LoRAConv1d<double> layer(file.read<double>("w"), Window1d{size(2), size(3), size(4)}, config, 1,
                             b, Groups{size(1)});
    layer.set_name("layer");
    return round_trip(layer, from, to, [&](Matrix<double>& y) {
      layer.forward(x, SequenceShape{extent(0), extent(1)}, y);
    });
  }
  const Window window{size(2), size(5), size(3), size(6), size(4), size(7)};
  LoRAConv2d<double> layer(file.read<double>("w"), window, config, 1, b, Groups{size(1)});
  layer.set_name("layer");
  round_trip(layer, from, to, [&](Matrix<double>& y) {
    layer.forward(x, ImageShape{extent(0), extent(1), extent(2)}, y);
  });
}

void attention(const io::SafetensorsReader& file, const Path& from, const Path& to) {
  const LoRAConfig config = peft::read_peft_config(from / "adapter").layer_config("layer");
  const auto projection = [&](const std::string& weight, const std::string& bias) {
    const Matrix<double> b = file.read<double>(bias);
    return LoRALinear<double>(DenseWeight<double>(file.read<double>(weight)), config, 1,
                              Vector<double>(b.row(0).transpose()));
  };
  std::vector<int> lengths;
  const Matrix<double> counts = file.read<double>("lengths");
  for (Index i = 0; i < counts.size(); ++i) lengths.push_back(static_cast<int>(counts.data()[i]));
  LoRAMultiheadAttention<double> layer(
      projection("in_proj_weight", "in_proj_bias"), projection("out_proj.weight", "out_proj.bias"),
      {.heads = static_cast<Index>(file.read<double>("heads")(0, 0))});
  layer.set_name("layer");
  const Sequences sequences = Sequences::packed(lengths);
  round_trip(layer, from, to,
             [&](Matrix<double>& y) { layer.forward(file.read<double>("x"), sequences, y); });
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 3) {
    std::cerr << "usage: " << argv[0] << " CASES OUTPUT\n";
    return 2;
  }
  try {
    for (const auto& entry : std::filesystem::directory_iterator(argv[1])) {
      const Path from = entry.path(), to = Path(argv[2]) / from.filename();
      const io::SafetensorsReader file(from / "layer.safetensors");
      file.tensors().contains("heads") ? attention(file, from, to) : convolution(file, from, to);
    }
    return 0;
  } catch (const std::exception& error) {
    std::cerr << error.what() << '\n';
    return 1;
  }
}

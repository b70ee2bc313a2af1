// PEFT's files of AdaLoRA, read as the plain adapters that add the same to the weight.

#include <filesystem>
#include <fstream>

#include <lora/layers/lora_conv2d.hpp>
#include <lora/layers/lora_linear.hpp>
#include <lora/peft/adapter.hpp>
#include <lora/peft/merge_adapter.hpp>
#include <lora/peft/register_adapter.hpp>
#include <lora/peft/values_writer.hpp>

#include "optim/adalora_net.hpp"
#include "support/catch.hpp"
#include "support/temporary_directory.hpp"
#include "support/throws.hpp"
#include "support/tolerance.hpp"

using namespace lora;
using namespace lora::peft;
using namespace lora::test;

namespace {

// Writes an adapter of "fc" with the settings besides and tensors (rows, cols) of 0.5, E of 0.5.
void write_triplets(const std::filesystem::path& directory, const std::string& settings,
                    std::vector<std::pair<std::string, io::Shape>> tensors) {
  std::filesystem::create_directories(directory);
  std::ofstream(directory / "adapter_config.json")
      << R"({"peft_type": "ADALORA", "target_modules": ["fc"], "init_r": 2, "total_step": 9)"
      << settings << "}";
  std::vector<io::Tensor> all;
  for (auto& [name, shape] : tensors) {
    const MatrixShape size(shape);
    all.push_back(io::make_tensor("base_model.model." + name,
                                  Matrix<float>::Constant(size.rows, size.cols, 0.5F), shape));
  }
  io::write_safetensors(directory / "adapter_model.safetensors", std::move(all));
}

using TripletShapes = std::vector<std::pair<std::string, io::Shape>>;
const TripletShapes two_triplets{
    {"fc.lora_A", {2, 3}}, {"fc.lora_B", {4, 2}}, {"fc.lora_E", {2, 1}}};

}  // namespace

TEST_CASE("adapters that PEFT saved of AdaLoRA compute what PEFT does with them") {
  const io::SafetensorsReader outputs(AdaLoRANet::directory() / "outputs.safetensors");
  for (const std::string name : {"whole", "pruned", "empty"}) {
    CAPTURE(name);
    AdaLoRANet net;
    for (auto* layer : {&net.first, &net.last}) layer->add_adapter("default", {.rank = 2}, 1);
    const PeftConfig config = load_adapter<double>(AdaLoRANet::directory() / name, net.layers());
    REQUIRE(config.adalora);
    CHECK(*config.adalora == AdaLoRAConfig{.init_r = 4,
                                           .target_r = 2,
                                           .total_step = 12,
                                           .tinit = 2,
                                           .tfinal = 3,
                                           .delta_t = 2,
                                           .orth_reg_weight = 0.1,
                                           .alpha = 16});
    // Its ranks, but for one of zeros where none is left; the scaling is that of the start.
    CHECK(net.first.rank() == (name == "whole" ? 4 : name == "pruned" ? 3 : 1));
    CHECK(net.last.rank() == (name == "whole" ? 4 : name == "pruned" ? 1 : 3));
    CHECK(std::abs(net.last.config().scaling() - 16 / (4 + 1e-5)) < 1e-14);
    const auto y = net.forward(AdaLoRANet::in_run("x"));
    CHECK(largest_difference(y, outputs.read<double>(name)) < 1e-6);
    CHECK(largest_difference(net.first.delta_weight(), outputs.read<double>(name + ".first")) <
          1e-7);
    CHECK(largest_difference(net.last.delta_weight(), outputs.read<double>(name + ".last")) < 1e-7);
    const auto before = net.first.weight().dense();
    net.first.merge();
    net.last.merge();
    CHECK(largest_difference(net.forward(AdaLoRANet::in_run("x")), y) < 1e-12);
    net.first.unmerge();
    CHECK(same_bits(Matrix<double>(net.first.weight().dense()), Matrix<double>(before)));
    net.last.unmerge();

    // As values, which are saved as a plain adapter that adds the same.
    const auto values = read_adapter<double>(AdaLoRANet::directory() / name);
    CHECK(values.others.empty());
    CHECK(largest_difference(values.modules.at("first").delta(), net.first.delta_weight()) < 1e-15);
    const TemporaryDirectory directory;
    save_adapter(directory / "values", values);
    save_adapter(directory / "layers", net.layers(), {.config = config});
    for (const char* saved : {"values", "layers"}) {
      AdaLoRANet again;
      for (auto* layer : {&again.first, &again.last}) layer->add_adapter("default", {}, 1);
      CHECK_FALSE(load_adapter<double>(directory / saved, again.layers()).adalora);
      CHECK(largest_difference(again.forward(AdaLoRANet::in_run("x")), y) < 1e-14);
    }
    // And in a registry.
    CHECK(registry_modules(values).size() == 2);
  }
}

TEST_CASE("a file of AdaLoRA that lacks something or has too much is refused") {
  const TemporaryDirectory root;
  int count = 0;
  const auto read = [&](const std::string& settings, const TripletShapes& tensors) {
    const auto directory = root / std::to_string(++count);
    write_triplets(directory, settings, tensors);
    return [directory] { static_cast<void>(read_adapter<float>(directory)); };
  };
  CHECK_NOTHROW(read("", two_triplets)());
  CHECK_NOTHROW(read(R"(, "rank_pattern": {"fc.lora_E.default": [true, true]})", two_triplets)());
  // Patterns cut the tensors.
  check_throws<FileError>(read(R"(, "rank_pattern": {"fc.lora_E": [true, false]})", two_triplets),
                          "expected rank 1 by adapter_config.json");
  check_throws<FileError>(read("", {{"fc.lora_A", {2, 3}}, {"fc.lora_B", {4, 2}}}),
                          "fc.lora_E\" is missing");
  check_throws<FileError>(
      read("", {{"fc.lora_A", {2, 3}}, {"fc.lora_B", {4, 2}}, {"fc.lora_E", {1, 2}}}),
      "fc.lora_E\" is of shape (1, 2), expected (2, 1)");
  check_throws<FileError>(
      read("", {{"fc.lora_A", {2, 3}}, {"fc.lora_B", {4, 0}}, {"fc.lora_E", {2, 1}}}),
      "fc.lora_B\" is of shape (4, 0), expected the rank of lora_A, 2");
  check_throws<FileError>(read("", {{"fc.lora_B", {4, 2}}, {"fc.lora_E", {2, 1}}}),
                          "fc.lora_A.weight\" is missing");
  TripletShapes more = two_triplets;
  more.emplace_back("fd.lora_E", io::Shape{2, 1});
  check_throws<FileError>(read("", more), "\"base_model.model.fd.lora_E\" has no place");
  more.back() = {"fd.lora_A.weight", {2, 3}};
  check_throws<FileError>(read("", more), "is of a plain adapter");
  more.back() = {"fc.ranknum", {1}};
  check_throws<FileError>(read("", more), "fc.ranknum\" is 0.5, expected init_r = 2");
  more.back() = {"fc.ranknum", {2}};
  check_throws<FileError>(read("", more), "fc.ranknum\" is of shape (2,), expected (1,)");
}

TEST_CASE("a convolution loads the factors of AdaLoRA, which are matrices in the file") {
  const TemporaryDirectory directory;
  write_triplets(directory / "a", "",
                 {{"fc.lora_A", {2, 3 * 2 * 2}}, {"fc.lora_B", {4, 2}}, {"fc.lora_E", {2, 1}}});
  LoRAConv2d<float> layer(Matrix<float>(Matrix<float>::Zero(4, 3 * 2 * 2)), Window::square(2),
                          {.rank = 2}, 1);
  layer.set_name("fc");
  load_adapter(directory / "a", layer);
  CHECK(layer.lora_A().value.isConstant(0.25F));
}

#include <lora/peft/adalora_reader.hpp>

#include <lora/peft/adapter_reader.hpp>

#include "optim/adalora_net.hpp"
#include "support/catch.hpp"
#include "support/throws.hpp"
#include "support/tolerance.hpp"

using namespace lora;
using namespace lora::peft;
using namespace lora::test;

namespace {

// A network with the adapter of a golden directory, and the optimizer that trains it on.
struct Continued {
  explicit Continued(const std::string& name) : optimizer(begin(AdaLoRANet::directory() / name)) {}

  AdaLoRA<double> begin(const std::filesystem::path& directory) {
    for (auto* layer : {&net.first, &net.last}) layer->add_adapter("default", {.rank = 2}, 1);
    load_adapter<double>(directory, net.layers());
    loaded = net.forward(AdaLoRANet::in_run("x"));
    auto start = read_adalora<double>(directory, net.layers(), 1);
    return {AdamW<double>({.learning_rate = 0.05, .weight_decay = 0.01}), net.layers(),
            start.config, std::move(start.factors)};
  }

  AdaLoRANet net;
  Matrix<double> loaded;  // what the file's plain adapters compute for x
  AdaLoRA<double> optimizer;
};

}  // namespace

TEST_CASE("AdaLoRA trains on from PEFT's files as PEFT does") {
  Continued run("whole");
  const io::SafetensorsReader golden(AdaLoRANet::directory() / "continued.safetensors");
  for (int step = 1; step <= 6; ++step) {
    CAPTURE(step);
    run.net.train(AdaLoRANet::in_run("x"), AdaLoRANet::in_run("target"));
    run.optimizer.step(run.net.parameters());
    zero_grad(run.net.parameters());
    for (const auto& each : run.optimizer.triplets()) {
      const auto e = golden.read<double>(message(step, ".", each.layer.name(), ".lora_E"));
      CHECK(largest_difference(each.e.value, e) < 1e-9);
      CHECK((each.e.value.array() == 0).matrix() == (e.array() == 0).matrix());
    }
  }
  for (const auto& each : run.optimizer.triplets())
    CHECK(largest_difference(each.a.value,
                             golden.read<double>("end." + each.layer.name() + ".lora_A")) < 1e-9);
}

TEST_CASE("triplets that were taken away come back as new ones, and change no output") {
  for (const std::string name : {"pruned", "empty"}) {
    CAPTURE(name);
    const Continued run(name);
    CHECK(run.net.first.rank() == 4);
    CHECK(largest_difference(run.net.forward(AdaLoRANet::in_run("x")), run.loaded) < 1e-14);
    for (const auto& each : run.optimizer.triplets()) {
      CHECK(each.a.value.row(3).norm() > 0);
      CHECK(each.e.value(3, 0) == 0);
    }
  }
}

TEST_CASE("only AdaLoRA's files of these layers begin an AdaLoRA") {
  AdaLoRANet net;
  for (auto* layer : {&net.first, &net.last}) layer->add_adapter("default", {.rank = 2}, 1);
  const auto read = [&](const std::filesystem::path& directory) {
    return [&, directory] { static_cast<void>(read_adalora<double>(directory, net.layers(), 1)); };
  };
  const std::filesystem::path golden = LORA_GOLDEN_DIR;
  check_throws<FileError>(read(golden / "attention" / "adapter"), "is of a plain adapter");
  net.last.set_name("other");
  check_throws<FileError>(read(AdaLoRANet::directory() / "whole"), "other.lora_A");
  net.last.set_name("first");
  check_throws<ShapeError>(read(AdaLoRANet::directory() / "whole"), "first (read_adalora): lora_A");
}

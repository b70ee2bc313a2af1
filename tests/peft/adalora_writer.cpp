#include <lora/peft/adalora_writer.hpp>

#include <lora/peft/adapter_reader.hpp>

#include "optim/adalora_net.hpp"
#include "support/catch.hpp"
#include "support/temporary_directory.hpp"
#include "support/throws.hpp"
#include "support/tolerance.hpp"
#include "support/whole_file.hpp"

using namespace lora;
using namespace lora::peft;
using namespace lora::test;

namespace {

// Trains the network of the golden files for some steps, and returns its optimizer.
AdaLoRA<double> train_adalora(AdaLoRANet& net, int steps) {
  for (auto* layer : {&net.first, &net.last}) layer->add_adapter("default", {.rank = 2}, 1);
  std::vector<AdaLoRAFactors<double>> factors;
  for (const std::string name : {"start.first.", "start.last."})
    factors.push_back({AdaLoRANet::in_run(name + "lora_A"), Matrix<double>::Zero(4, 1),
                       AdaLoRANet::in_run(name + "lora_B")});
  AdaLoRA<double> optimizer(AdamW<double>({.learning_rate = 0.05}), net.layers(),
                            {.init_r = 4,
                             .target_r = 2,
                             .total_step = 12,
                             .tinit = 2,
                             .tfinal = 3,
                             .delta_t = 2,
                             .orth_reg_weight = 0.1,
                             .alpha = 16},
                            std::move(factors));
  for (int step = 0; step < steps; ++step) {
    net.train(AdaLoRANet::in_run("x"), AdaLoRANet::in_run("target"));
    optimizer.step(net.parameters());
    zero_grad(net.parameters());
  }
  return optimizer;
}

}  // namespace

TEST_CASE("AdaLoRA's files are those that PEFT saves") {
  for (const std::string name : {"whole", "pruned"}) {
    CAPTURE(name);
    AdaLoRANet net;
    const auto optimizer = train_adalora(net, name == "whole" ? 2 : 12);
    const auto theirs = AdaLoRANet::directory() / name;
    const TemporaryDirectory directory;
    // With the keys that PEFT took from its model.
    save_adalora(directory.path(), optimizer, {.config = read_peft_config(theirs)});
    CHECK(read_whole(directory / "adapter_config.json") ==
          read_whole(theirs / "adapter_config.json"));
    const io::SafetensorsReader ours(directory / "adapter_model.safetensors"),
        expected(theirs / "adapter_model.safetensors");
    REQUIRE(ours.tensors().size() == expected.tensors().size());
    for (const auto& [key, view] : expected.tensors()) {
      CAPTURE(key);
      REQUIRE(ours.tensor(key).shape == view.shape);
      const MatrixShape size(view.shape);
      CHECK(largest_difference(ours.read<double>(key, size.rows, size.cols),
                               expected.read<double>(key, size.rows, size.cols)) < 1e-9);
    }
  }
}

TEST_CASE("what AdaLoRA saved computes what its layers do, at any step") {
  // After 5 steps triplets that had gone have grown again; after 12 they are gone for good.
  for (const int steps : {0, 1, 5, 12}) {
    CAPTURE(steps);
    AdaLoRANet net, again;
    const auto optimizer = train_adalora(net, steps);
    const auto y = net.forward(AdaLoRANet::in_run("x"));
    const TemporaryDirectory directory;
    save_adalora(directory / "triplets", optimizer);
    save_adapter(directory / "plain", net.layers());
    for (auto* layer : {&again.first, &again.last}) layer->add_adapter("default", {}, 1);
    for (const char* saved : {"triplets", "plain"}) {
      const PeftConfig config = load_adapter<double>(directory / saved, again.layers());
      CHECK(config.adalora.has_value() == (std::string(saved) == "triplets"));
      CHECK(largest_difference(again.forward(AdaLoRANet::in_run("x")), y) < 1e-14);
    }
    CHECK(again.first.rank() == 4);
    load_adapter<double>(directory / "triplets", again.layers());
    CHECK(again.first.rank() == (steps == 12 ? optimizer.rank(0) : 4));
  }
}

TEST_CASE("AdaLoRA is not saved of an attention's projections") {
  AdaLoRANet net;
  net.first.set_name("attn.base_layer.out_proj");
  const auto optimizer = train_adalora(net, 0);
  const TemporaryDirectory directory;
  check_throws<ConfigError>([&] { save_adalora(directory / "a", optimizer); },
                            "attn.base_layer.out_proj (save_adalora): PEFT has no AdaLoRA");
  CHECK_FALSE(std::filesystem::exists(directory / "a"));
}

TEST_CASE("AdaLoRA is not saved with settings that no reader would take") {
  AdaLoRANet net;
  const auto optimizer = train_adalora(net, 0);
  const TemporaryDirectory directory;
  Parameter<double> rows("wte.token_adapter.trainable_tokens_delta", Matrix<double>::Ones(1, 3));
  PeftConfig config;
  config.trainable_token_indices = {{"wte", {5}}};
  AdapterSaveOptions<double> options{.config = config};
  options.parameters.add(rows);
  check_throws<ConfigError>([&] { save_adalora(directory / "a", optimizer, options); },
                            "trainable_token_indices is set, which AdaLoRA does not have");
  options = {.config = PeftConfig{}};
  options.config->alora_invocation_tokens = {1};
  check_throws<ConfigError>([&] { save_adalora(directory / "a", optimizer, options); },
                            "save_adalora: nobody could read it again: adapter_config.json");
  CHECK_FALSE(std::filesystem::exists(directory / "a"));
}

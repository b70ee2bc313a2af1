#include <lora/peft/register_adapter.hpp>

#include "peft/golden_net.hpp"
#include "support/throws.hpp"
#include "support/tolerance.hpp"

using namespace lora;
using namespace lora::peft;
using namespace lora::test;

TEST_CASE("an adapter is added to a registry from its directory, read once, or from memory") {
  const auto adapters = GoldenNet<double>::adapters();
  GoldenNet<double> net;
  AdapterRegistry<double> registry;
  registry.manage(net.wide);
  registry.manage(net.narrow);
  add_adapter(registry, "patterns", adapters / "patterns");
  add_adapter(registry, "again", read_adapter<double>(adapters / "patterns"));
  replace_adapter(registry, "again", adapters / "patterns");

  const io::SafetensorsReader outputs(adapters / "outputs.safetensors");
  const auto x = outputs.read<double>("x");
  for (const std::string name : {"patterns", "again"}) {
    AdapterRoutes routes(std::vector<std::string>(static_cast<std::size_t>(x.rows()), name));
    registry.bind(routes);
    Matrix<double> h, g, y;
    net.wide.forward(x, routes, h);
    h = h.cwiseMax(0.0).eval();
    net.narrow.forward(h, routes, g);
    g = g.cwiseMax(0.0).eval();
    net.classifier.forward(g, y);
    CHECK(largest_difference(y, outputs.read<double>("patterns")) < 1e-5);
  }
}

TEST_CASE("an adapter that adapters of one model cannot have is refused") {
  GoldenNet<float> net;
  AdapterRegistry<float> registry;
  registry.manage(net.wide);
  check_throws<ConfigError>(
      [&] { add_adapter(registry, "whole", GoldenNet<float>::adapters() / "modules_to_save"); },
      "tensors beside its factors, as \"classifier.bias\"");
  check_throws<ConfigError>(
      [&] { add_adapter(registry, "other", GoldenNet<float>::adapters() / "patterns"); },
      "\"encoder.narrow\", which is no layer");
  CHECK(registry.names().empty() == false);
  CHECK_FALSE(registry.has("other"));
  auto values = read_adapter<float>(GoldenNet<float>::adapters() / "patterns");
  values.config.layer_replication = {{0, 1}};
  check_throws<ConfigError>([&] { add_adapter(registry, "replicated", values); },
                            "layer_replication");
  values.config.layer_replication.clear();
  values.config.alora_invocation_tokens = {1};
  check_throws<ConfigError>([&] { add_adapter(registry, "invoked", values); },
                            "alora_invocation_tokens");
}

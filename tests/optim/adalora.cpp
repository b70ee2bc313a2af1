#include <lora/optim/adalora.hpp>

#include <lora/layers/lora_embedding.hpp>
#include <lora/optim/sgd.hpp>

#include "optim/adalora_net.hpp"
#include "support/catch.hpp"
#include "support/random_matrix.hpp"
#include "support/throws.hpp"
#include "support/tolerance.hpp"

using namespace lora;
using namespace lora::test;

namespace {

const AdaLoRAConfig golden_settings{.init_r = 4,
                                    .target_r = 2,
                                    .total_step = 12,
                                    .tinit = 2,
                                    .tfinal = 3,
                                    .delta_t = 2,
                                    .orth_reg_weight = 0.1,
                                    .alpha = 16};

// The network with new adapters, and its optimizer.
struct AdaLoRARun {
  explicit AdaLoRARun(const AdaLoRAConfig& config = golden_settings) : optimizer(begin(config)) {}

  static AdaLoRAFactors<double> start(const std::string& layer) {
    return {AdaLoRANet::in_run("start." + layer + ".lora_A"), Matrix<double>::Zero(4, 1),
            AdaLoRANet::in_run("start." + layer + ".lora_B")};
  }

  AdaLoRA<double> begin(const AdaLoRAConfig& config) {
    for (auto* layer : {&net.first, &net.last}) layer->add_adapter("default", {.rank = 2}, 1);
    std::vector<AdaLoRAFactors<double>> factors{start("first"), start("last")};
    return {AdamW<double>({.learning_rate = 0.05, .weight_decay = 0.01}), net.layers(), config,
            std::move(factors)};
  }

  // Returns the loss with its regularisation.
  double step() {
    const double loss = net.train(AdaLoRANet::in_run("x"), AdaLoRANet::in_run("target"));
    optimizer.step(net.parameters());
    zero_grad(net.parameters());
    return loss + optimizer.regularisation();
  }

  AdaLoRANet net;
  AdaLoRA<double> optimizer;
};

}  // namespace

TEST_CASE("AdaLoRA trains, scores and takes ranks away as PEFT does") {
  AdaLoRARun run;
  CHECK(same_bits(run.net.first.weight_in_use(), AdaLoRANet::in_run("base.first.weight")));
  for (int step = 1; step <= 12; ++step) {
    CAPTURE(step);
    const std::string at = std::to_string(step) + ".";
    CHECK(std::abs(run.step() - AdaLoRANet::in_run(at + "loss")(0, 0)) < 1e-9);
    for (const auto& each : run.optimizer.triplets()) {
      const std::string name = at + each.layer.name();
      const Matrix<double> e = AdaLoRANet::in_run(name + ".lora_E");
      CHECK(largest_difference(each.e.value, e) < 1e-9);
      CHECK((each.e.value.array() == 0).matrix() == (e.array() == 0).matrix());
      if (!takes_ranks(golden_settings, static_cast<std::uint64_t>(step))) continue;
      const Matrix<double> scores = AdaLoRANet::in_run(name + ".score").transpose();
      CHECK(largest_difference(each.scores, scores) < 1e-9 * scores.maxCoeff());
    }
  }
  CHECK(run.optimizer.rank(0) == 3);
  CHECK(run.optimizer.rank(1) == 1);
  for (const auto& each : run.optimizer.triplets()) {
    const std::string name = "end." + each.layer.name();
    CHECK(largest_difference(each.a.value, AdaLoRANet::in_run(name + ".lora_A")) < 1e-9);
    for (const Parameter<double>* parameter : each.layer.parameters())
      if (parameter->name.ends_with("lora_B.weight"))
        CHECK(largest_difference(parameter->value, AdaLoRANet::in_run(name + ".lora_B")) < 1e-9);
  }
}

TEST_CASE("the gradients of A, E and B are those of differences") {
  // An optimizer of rate 0 leaves the gradients to be looked at.
  const AdaLoRAConfig config{
      .init_r = 3, .target_r = 1, .total_step = 100, .tinit = 50, .orth_reg_weight = 0.2};
  const auto x = random_matrix<double>(4, 5, 1), target = random_matrix<double>(4, 6, 2);
  const auto w = random_matrix<double>(6, 5, 3);
  const AdaLoRAFactors<double> at{random_matrix<double>(3, 5, 4), random_matrix<double>(3, 1, 5),
                                  random_matrix<double>(6, 3, 6)};
  const auto evaluate = [&](const AdaLoRAFactors<double>& factors, AdaLoRAFactors<double>* d) {
    LoRALinear<double> layer(DenseWeight<double>(w), {.rank = 1}, 1);
    layer.set_name("fc");
    AdaLoRA<double, SGD<double>> optimizer(SGD<double>({.learning_rate = 0}), {layer}, config,
                                           std::vector<AdaLoRAFactors<double>>{factors});
    Tape<double> tape;
    Matrix<double> y;
    layer.forward(x, tape, y);
    layer.backward(x, Matrix<double>(y - target), tape);
    optimizer.step(layer.parameters());
    if (d != nullptr)
      *d = {optimizer.triplets()[0].a.grad, optimizer.triplets()[0].e.grad, layer.lora_B().grad};
    return (y - target).squaredNorm() / 2 + optimizer.regularisation();
  };
  AdaLoRAFactors<double> gradients;
  evaluate(at, &gradients);
  for (auto member :
       {&AdaLoRAFactors<double>::a, &AdaLoRAFactors<double>::e, &AdaLoRAFactors<double>::b})
    for (Index i = 0; i < (at.*member).size(); ++i) {
      AdaLoRAFactors<double> above = at, below = at;
      (above.*member).data()[i] += 1e-6;
      (below.*member).data()[i] -= 1e-6;
      const double expected = (evaluate(above, nullptr) - evaluate(below, nullptr)) / 2e-6;
      CHECK(std::abs((gradients.*member).data()[i] - expected) < 1e-6);
    }
}

TEST_CASE("a state of AdaLoRA goes on with the same bits") {
  for (const int stop : {1, 5, 10}) {
    CAPTURE(stop);
    AdaLoRARun whole, resumed;
    for (int step = 0; step < stop; ++step) whole.step();
    const auto state = whole.optimizer.state();
    for (std::size_t i = 0; i < 4; ++i)
      resumed.net.parameters()[i]->value = Matrix<double>(whole.net.parameters()[i]->value);
    resumed.optimizer.set_state(state);
    AdaLoRA<double> copy = whole.optimizer;
    whole.optimizer = std::move(copy);
    for (int step = stop; step < 12; ++step) CHECK(whole.step() == resumed.step());
    CHECK(same_bits(whole.net.first.weight_in_use(), resumed.net.first.weight_in_use()));
    CHECK(resumed.optimizer.steps() == 12);
  }
  AdaLoRARun run;
  run.step();
  auto state = run.optimizer.state();
  state.tensors.erase("AdaLoRA.last.e");
  check_throws<StateError>([&] { run.optimizer.set_state(state); }, "there is no AdaLoRA.last.e");
  check_throws<StateError>([&] { run.optimizer.set_state(run.optimizer.inner().state()); },
                           "the state is of AdamW, expected AdaLoRA");
  run.step();
}

TEST_CASE("AdaLoRA starts as the frozen layers, and its layers merge and unmerge") {
  AdaLoRANet net;
  for (auto* layer : {&net.first, &net.last}) layer->add_adapter("default", {.rank = 2}, 1);
  const auto x = AdaLoRANet::in_run("x");
  net.first.disable_adapter();
  net.last.disable_adapter();
  const auto base = net.forward(x);
  net.first.enable_adapter();
  net.last.enable_adapter();
  AdaLoRA<double> optimizer(AdamW<double>({.learning_rate = 0.1}), net.layers(), golden_settings,
                            /*seed=*/3);
  CHECK(same_bits(net.forward(x), base));
  const auto& triplets = optimizer.triplets();
  CHECK_FALSE(triplets[0].a.value.row(0).head(4) == triplets[1].a.value.row(0).head(4));
  for (int step = 0; step < 6; ++step) {
    net.train(x, AdaLoRANet::in_run("target"));
    optimizer.step(net.parameters());
    zero_grad(net.parameters());
  }
  const auto y = net.forward(x);
  CHECK(largest_difference(y, base) > 1e-3);
  net.first.merge();
  CHECK(largest_difference(net.forward(x), y) < 1e-12);
  net.first.unmerge();
  CHECK(same_bits(net.first.weight().dense(), AdaLoRANet::in_run("base.first.weight")));
  CHECK(same_bits(net.forward(x), y));
}

TEST_CASE("AdaLoRA refuses what it cannot train, and says where") {
  using Optimizer = AdaLoRA<double>;
  const AdamW<double> adam({.learning_rate = 0.1});
  AdaLoRARun run;
  const auto make = [&](std::vector<AdaptedLayerRef<double>> layers) {
    return [&adam, layers] { Optimizer(adam, layers, golden_settings, 1); };
  };
  check_throws<ConfigError>(make({}), "there are no layers");
  check_throws<ConfigError>(make({run.net.first, run.net.first}),
                            "two layers are called \"first\"");
  check_throws<ConfigError>([&] { Optimizer(adam, {run.net.first}, {}, 1); }, "total_step is 0");
  LoRAEmbedding<double> embedding(DenseWeight<double>(random_matrix<double>(9, 4, 1)), {.rank = 2},
                                  1);
  check_throws<ConfigError>(make({embedding}), "has no lora_A.weight and lora_B.weight");
  LoRALinear<double> dora(DenseWeight<double>(random_matrix<double>(3, 4, 1)),
                          {.rank = 2, .use_dora = true}, 1);
  check_throws<ConfigError>(make({dora}), "use_dora is set");
  check_throws<ShapeError>(
      [&] {
        Optimizer(adam, {run.net.first}, golden_settings,
                  std::vector<AdaLoRAFactors<double>>{AdaLoRARun::start("last")});
      },
      "first (AdaLoRA): a is (4, 8)");

  // A list without a layer's factors, and a factor that something else has changed.
  const auto before = run.net.first.weight_in_use();
  check_throws<ConfigError>([&] { run.optimizer.step(run.net.first.parameters()); },
                            "last (AdaLoRA::step): the parameters lack last.lora_A.weight");
  run.net.last.lora_B().grad(0, 0) = std::nan("");
  check_throws<StateError>([&] { run.optimizer.step(run.net.parameters()); },
                           "last (AdaLoRA::step): the gradient is not finite");
  run.net.last.lora_B().zero_grad();
  run.net.first.lora_A().value(0, 0) += 1;
  check_throws<StateError>([&] { run.optimizer.step(run.net.parameters()); },
                           "first (AdaLoRA::step): its A is not E . A of the last step");
  run.net.first.lora_A().value(0, 0) -= 1;
  CHECK(same_bits(run.net.first.weight_in_use(), before));
  CHECK(run.optimizer.steps() == 0);
}

TEST_CASE("a step of AdaLoRA that fails changes nothing") {
  // An inner optimizer that refuses once it has A, E and B.
  struct Refusing : AdamW<double> {
    using AdamW<double>::AdamW;
    void step(const ParameterList<double>& parameters) {
      if (refuses) throw StateError("refused");
      AdamW<double>::step(parameters);
    }
    bool refuses = false;
  };
  LoRALinear<double> layer(DenseWeight<double>(random_matrix<double>(6, 5, 3)), {.rank = 1}, 1);
  layer.set_name("fc");
  Refusing refusing({.learning_rate = 0.1});
  refusing.refuses = true;
  const AdaLoRAConfig config{.init_r = 3, .target_r = 1, .total_step = 9, .orth_reg_weight = 0.2};
  AdaLoRA<double, Refusing> optimizer(refusing, {layer}, config, 1);
  const auto db = random_matrix<double>(6, 3, 4);
  layer.lora_A().grad.setOnes();
  layer.lora_B().grad = db;
  check_throws<StateError>([&] { optimizer.step(layer.parameters()); }, "refused");
  CHECK(layer.lora_B().grad == db);
  CHECK(optimizer.steps() == 0);
  CHECK(optimizer.regularisation() == 0);
}

TEST_CASE("importance that outgrows the type is refused, and nothing has changed") {
  for (const std::uint64_t delta :
       {1U, 3U}) {  // a step that compares scores, and one that does not
    CAPTURE(delta);
    LoRALinear<float> layer(DenseWeight<float>(random_matrix<float>(6, 5, 3)), {.rank = 1}, 1);
    layer.set_name("fc");
    AdaLoRA<float> optimizer(
        AdamW<float>({.learning_rate = 0.1}), {layer},
        {.init_r = 3, .target_r = 1, .total_step = 9, .delta_t = delta, .orth_reg_weight = 0.2}, 1);
    const auto step = [&](float gradient) {
      layer.lora_A().grad.setConstant(gradient);
      layer.lora_B().grad.setConstant(gradient);
      optimizer.step(layer.parameters());
    };
    step(1);
    const auto before = optimizer.state();
    const auto weight = layer.weight_in_use();
    const auto same = [&] {
      const auto now = optimizer.state();
      CHECK(now.steps == before.steps);
      for (const auto& [name, value] : before.tensors)
        CHECK(same_bits(now.tensors.at(name), value));
      CHECK(same_bits(layer.weight_in_use(), weight));
    };
    check_throws<StateError>([&] { step(3e38F); }, "fc (AdaLoRA::step): the ");
    same();
    check_throws<StateError>([&] { step(delta == 1 ? 1e22F : 1e38F); },
                             "fc (AdaLoRA::step): the importance of its triplets");
    CHECK(layer.lora_B().grad.isConstant(delta == 1 ? 1e22F : 1e38F));
    same();
    // What is large and has an order is computed as ever.
    step(1e12F);
    CHECK(optimizer.steps() == 2);
  }
}

#include <lora/train/optimizer_settings.hpp>

#include <lora/layers/lora_linear.hpp>

#include "support/catch.hpp"

using namespace lora;
using lora::train::settings_of;

TEST_CASE("every setting of AdamW makes another run") {
  const auto differs = [](const AdamWConfig& config) {
    return settings_of(AdamW<float>(config)).text() != settings_of(AdamW<float>()).text();
  };
  CHECK_FALSE(differs({}));
  CHECK(differs({.learning_rate = 0.5}));
  CHECK(differs({.beta1 = 0.5}));
  CHECK(differs({.beta2 = 0.5}));
  CHECK(differs({.epsilon = 0.5}));
  CHECK(differs({.weight_decay = 0.5}));
  CHECK(differs({.groups = {{.name_contains = "lora_B"}}}));
  // As it was made: a schedule sets another learning rate at each step.
  AdamW<float> later;
  later.set_learning_rate(0.5);
  CHECK(settings_of(later).text() == settings_of(AdamW<float>()).text());
}

TEST_CASE("every setting of SGD makes another run") {
  const auto text = [](const SGDConfig& config) { return settings_of(SGD<double>(config)).text(); };
  const SGDConfig plain{.momentum = 0.5};
  CHECK(text(plain) == text(plain));
  for (const SGDConfig& other :
       {SGDConfig{.learning_rate = 0.5, .momentum = 0.5}, SGDConfig{.momentum = 0.25},
        SGDConfig{.momentum = 0.5, .dampening = 0.5},
        SGDConfig{.momentum = 0.5, .weight_decay = 0.5},
        SGDConfig{.momentum = 0.5, .nesterov = true},
        SGDConfig{.momentum = 0.5, .groups = {{.name_contains = "", .weight_decay = 0.5}}}})
    CHECK(text(other) != text(plain));
  CHECK(text({.groups = {{.name_contains = "", .weight_decay = 0.5}}}) !=
        text({.groups = {{.name_contains = ""}}}));
  CHECK(settings_of(SGD<float>()).text() != settings_of(AdamW<float>()).text());
}

TEST_CASE("a run with LoRA-FA's optimizer is another than one with AdamW") {
  LoRALinear<float> layer(DenseWeight<float>(Matrix<float>::Ones(4, 4)),
                          {.rank = 2, .freeze_a = true}, 1);
  const auto text = [&](const AdamWConfig& config) {
    return settings_of(LoRAFA<float>(config, {layer})).text();
  };
  CHECK(text({}) == text({}));
  CHECK(text({.epsilon = 0.5}) != text({}));
  CHECK(text({}) != settings_of(AdamW<float>()).text());
}

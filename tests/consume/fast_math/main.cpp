// A program compiled with -ffast-math, which lets a compiler take every number for finite: what the
// library refuses, it refuses here as well, and padding is still not looked at.
#include <algorithm>
#include <cstddef>
#include <filesystem>
#include <iostream>
#include <limits>
#include <string>
#include <vector>

#include <lora/lora.hpp>

#ifdef LORA_TEST_IO
#include <lora/io.hpp>
#endif

#ifndef __FAST_MATH__
#error "compile this program with -ffast-math"
#endif

namespace {

int failures = 0;

// Numbers that the compiler does not see through.
template <class T>
T hidden(T value) {
  volatile T copy = value;
  return copy;
}
const double nan64 = hidden(std::numeric_limits<double>::quiet_NaN());
const double inf64 = hidden(std::numeric_limits<double>::infinity());
const float nan32 = hidden(std::numeric_limits<float>::quiet_NaN());

template <class Error, class Action>
void refuses(const std::string& what, const Action& action) {
  try {
    action();
  } catch (const Error&) {
    return;
  }
  std::cerr << what << ": was accepted\n";
  ++failures;
}

lora::LoRALinear<float> layer(lora::LoRAConfig config = {.rank = 2}) {
  return {lora::DenseWeight<float>(lora::Matrix<float>::Ones(3, 4)), config, 1};
}

void refuses_settings() {
  using lora::ConfigError;
  const lora::Vector<float> ones = lora::Vector<float>::Ones(4);
  for (const double bad : {nan64, inf64, -inf64}) {
    refuses<ConfigError>("alpha", [&] { layer({.rank = 2, .alpha = bad}); });
    refuses<ConfigError>("dropout", [&] { layer({.rank = 2, .dropout = bad}); });
    refuses<ConfigError>("set_scale", [&] { layer().set_scale(bad); });
    refuses<ConfigError>("Dropout", [&] { lora::Dropout<float>{bad}; });
    refuses<ConfigError>("LayerNorm",
                         [&] { lora::LayerNorm<float>(ones, ones, {.epsilon = bad}); });
    refuses<ConfigError>("scaling", [&] { lora::Attention<float>({.scaling = bad}); });
    refuses<ConfigError>("attention", [&] { lora::Attention<float>({.dropout = bad}); });
    refuses<ConfigError>("AdamW", [&] { lora::AdamW<float>({.learning_rate = bad}); });
    refuses<ConfigError>("beta1", [&] { lora::AdamW<float>({.beta1 = bad}); });
    refuses<ConfigError>("beta2", [&] { lora::AdamW<float>({.beta2 = bad}); });
    refuses<ConfigError>("SGD", [&] { lora::SGD<float>({.momentum = bad}); });
    refuses<ConfigError>("Schedule", [&] { lora::Schedule({.peak = bad}); });
    refuses<ConfigError>("label_smoothing", [&] {
      lora::Matrix<float> logits = lora::Matrix<float>::Ones(1, 2), dlogits;
      lora::cross_entropy(logits, std::vector<int>{0}, {.label_smoothing = static_cast<float>(bad)},
                          dlogits);
    });
  }
}

void refuses_gradients() {
  auto trained = layer();
  trained.set_name("trained");
  (*trained.parameters().begin())->grad(0, 0) = nan32;
  refuses<lora::StateError>("clip_grad_norm",
                            [&] { lora::clip_grad_norm(trained.parameters(), 1.0); });
}

void leaves_padding_out() {
  const lora::Matrix<float> x = lora::Matrix<float>::Random(3, 4);
  lora::Matrix<float> padded = lora::Matrix<float>::Constant(6, 4, 9.0F), expected, y;
  const std::vector<int> whole{3}, mask{0, 1, 0, 1, 1, 0};
  padded.row(1) = x.row(0);
  padded.middleRows(3, 2) = x.bottomRows(2);
  const lora::Attention<float> attention({.heads = 2, .head_features = 2});
  attention.forward(x, x, x, lora::Sequences::packed(whole), expected);
  attention.forward(padded, padded, padded, lora::Sequences::masked(mask, 6), y);
  const float difference =
      std::max((y.row(1) - expected.row(0)).cwiseAbs().maxCoeff(),
               (y.middleRows(3, 2) - expected.bottomRows(2)).cwiseAbs().maxCoeff());
  if (difference > 1e-5F) {
    std::cerr << "attention looks at padding\n";
    ++failures;
  }
}

#ifdef LORA_TEST_IO
void refuses_files() {
  using lora::FileError;
  const double large = hidden(1e300);
  std::vector<std::byte> bytes(8);
  refuses<FileError>("a number too large for F32",
                     [&] { lora::io::encode(&large, 1, lora::io::DType::F32, bytes.data(), "x"); });
  lora::io::encode(&large, 1, lora::io::DType::F64, bytes.data(), "x");
  float read = 0;
  refuses<FileError>("a number too large to be read",
                     [&] { lora::io::decode(bytes.data(), lora::io::DType::F64, 1, &read, "x"); });
  lora::io::encode(&nan64, 1, lora::io::DType::BF16, bytes.data(), "x");
  lora::io::decode(bytes.data(), lora::io::DType::BF16, 1, &read, "x");
  if (lora::is_finite(read)) {
    std::cerr << "NaN became " << read << " on its way through a file\n";
    ++failures;
  }
  auto spoilt = layer();
  spoilt.set_name("spoilt");
  spoilt.lora_A().value(0, 0) = nan32;
  const auto folder = std::filesystem::temp_directory_path() / "lora-fast-math-adapter";
  lora::peft::save_adapter(folder, spoilt);
  refuses<FileError>("an adapter with NaN", [&] { lora::peft::load_adapter(folder, spoilt); });
  std::filesystem::remove_all(folder);
  for (const char* number : {"1e39", "NaN", "-Infinity"})
    for (const char* key : {"lora_alpha", "lora_dropout"})
      refuses<FileError>(std::string(key) + " " + number, [&] {
        static_cast<void>(lora::peft::parse_peft_config(
            R"({"peft_type": "LORA", "r": 2, "target_modules": ["q"], ")" + std::string(key) +
                "\": " + number + "}",
            "adapter_config.json"));
      });
}
#endif

}  // namespace

int main() {
  refuses_settings();
  refuses_gradients();
  leaves_padding_out();
#ifdef LORA_TEST_IO
  refuses_files();
#endif
  return failures == 0 ? 0 : 1;
}

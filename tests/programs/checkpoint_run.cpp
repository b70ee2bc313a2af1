// Trains a small network and saves a checkpoint after every step; started again with the same file,
// it goes on from there. The test of io/checkpoint.hpp kills it.
//
//     checkpoint_run FILE STEPS [die-in-step N | die-in-save N BYTES]
#include <lora/io.hpp>
#include <lora/lora.hpp>

#include <sys/resource.h>

#include <csignal>
#include <cstdlib>
#include <cstring>
#include <iostream>
#include <limits>

namespace {

using lora::Index;
using lora::Matrix;

struct Death {
  std::uint64_t step = std::numeric_limits<std::uint64_t>::max();
  std::uint64_t bytes = 0;  // 0: before the save
};

// The system kills whoever writes a file longer than this: SIGXFSZ, in the middle of a write.
void limit_file_size(std::uint64_t bytes) {
  const rlimit limit{bytes, bytes};
  if (setrlimit(RLIMIT_FSIZE, &limit) != 0) std::abort();
}

void train(const std::filesystem::path& file, std::uint64_t steps, const Death& death) {
  constexpr Index rows = 48, width = 10, classes = 4, batch = 8;
  const lora::Random random(1);
  Matrix<float> weight(classes + 2, width), data(rows, width);
  std::vector<int> labels;
  for (Index i = 0; i < weight.size(); ++i)
    weight.data()[i] = static_cast<float>(random.normal(0, static_cast<std::uint64_t>(i)));
  for (Index i = 0; i < data.size(); ++i)
    data.data()[i] = static_cast<float>(random.normal(1, static_cast<std::uint64_t>(i)));
  for (std::uint64_t i = 0; i < rows; ++i)
    labels.push_back(static_cast<int>(random.below(classes, 2, i)));

  lora::LoRALinear<float> layer(lora::DenseWeight<float>(weight), {.rank = 3, .dropout = 0.3}, 7);
  lora::Linear<float> head(classes, classes + 2, 8);
  layer.set_name("layer");
  head.set_name("head");
  auto parameters = lora::io::parameters_of<float>({layer});
  parameters.add(head.parameters());
  lora::AdamW<float> optimizer({.groups = {{.name_contains = "lora_B", .learning_rate_ratio = 4}}});
  const lora::Schedule schedule(
      {.decay = lora::Decay::cosine, .peak = 1e-2, .warmup_steps = 5, .total_steps = steps});
  lora::Tape<float> tape(3);
  std::uint64_t step = 0;
  double best = std::numeric_limits<double>::infinity();

  if (std::filesystem::exists(file)) {
    const auto checkpoint = lora::io::load_checkpoint<float>(file);
    optimizer.set_state(checkpoint.optimizer);
    lora::io::set_values<float>(parameters, checkpoint.parameters);
    tape.set_random_state(checkpoint.tapes.at(0));
    step = checkpoint.counters.at("step");
    best = checkpoint.numbers.at("best loss");
  }

  Matrix<float> x(batch, width), hidden, y, dy, dhidden;
  std::vector<int> batch_labels(batch);
  constexpr std::uint64_t batches = rows / batch;
  for (; step < steps; ++step) {
    const auto order = lora::shuffled(rows, 5, step / batches);
    for (Index i = 0; i < batch; ++i) {
      const Index row = order[(step % batches) * batch + static_cast<std::uint64_t>(i)];
      x.row(i) = data.row(row);
      batch_labels[static_cast<std::size_t>(i)] = labels[static_cast<std::size_t>(row)];
    }
    optimizer.set_learning_rate(schedule.at(step));
    layer.forward(x, tape, hidden);
    head.forward(hidden, tape, y);
    best = std::min(best, static_cast<double>(lora::cross_entropy(y, batch_labels, dy)));
    head.backward(hidden, dy, tape, dhidden);
    layer.backward(x, dhidden, tape);
    optimizer.step(parameters);
    lora::zero_grad(parameters);
    if (step == death.step) {
      if (death.bytes == 0) std::raise(SIGKILL);
      limit_file_size(death.bytes);
    }
    lora::io::save_checkpoint<float>(file, {.parameters = lora::io::values_of<float>(parameters),
                                            .optimizer = optimizer.state(),
                                            .tapes = {tape.random_state()},
                                            .counters = {{"step", step + 1}},
                                            .numbers = {{"best loss", best}}});
  }
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 3) return 2;
  Death death;
  if (argc > 4) death.step = std::strtoull(argv[4], nullptr, 10);
  if (argc > 5) death.bytes = std::strtoull(argv[5], nullptr, 10);
  try {
    train(argv[1], std::strtoull(argv[2], nullptr, 10), death);
  } catch (const std::exception& error) {
    std::cerr << error.what() << '\n';
    return 1;
  }
}

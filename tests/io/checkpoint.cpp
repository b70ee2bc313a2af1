#include <lora/io/checkpoint.hpp>

#include <chrono>
#include <csignal>
#include <limits>
#include <thread>

#include <lora/layers/lora_linear.hpp>
#include <lora/optim/adamw.hpp>

#include "support/process.hpp"
#include "support/random_matrix.hpp"
#include "support/temporary_directory.hpp"
#include "support/throws.hpp"
#include "support/tolerance.hpp"
#include "support/whole_file.hpp"

using namespace lora;
using namespace lora::io;
using namespace lora::test;

namespace {

// A run of tests/programs/checkpoint_run.cpp.
struct Run : Process {
  explicit Run(std::vector<std::string> arguments)
      : Process(LORA_CHECKPOINT_RUN, std::move(arguments)) {}
};

constexpr const char* steps = "120";

const std::string& uninterrupted() {
  static const std::string bytes = [] {
    const TemporaryDirectory directory;
    CHECK(Run({directory / "run", steps}).wait() == 0);
    return read_whole(directory / "run");
  }();
  return bytes;
}

template <class T>
Checkpoint<T> example() {
  Checkpoint<T> checkpoint;
  checkpoint.parameters = {{"a.weight", random_matrix<T>(3, 4, 1)},
                           {"", random_matrix<T>(1, 2, 2)},
                           {"empty", Matrix<T>(0, 5)}};
  checkpoint.parameters["a.weight"](0, 0) = std::numeric_limits<T>::quiet_NaN();
  checkpoint.parameters["a.weight"](0, 1) = -T(0);
  checkpoint.parameters["a.weight"](0, 2) = std::numeric_limits<T>::denorm_min();
  checkpoint.optimizer = {"AdamW", 0.1, {{"a.weight", 7}}, {{"a.weight.exp_avg", Matrix<T>(2, 2)}}};
  checkpoint.optimizer.tensors.begin()->second.setRandom();
  checkpoint.tapes = {{3, 5}, {0, std::numeric_limits<std::uint64_t>::max()}};
  checkpoint.counters = {{"step", std::numeric_limits<std::uint64_t>::max()}, {"two words", 0}};
  checkpoint.numbers = {{"best", -std::numeric_limits<double>::infinity()}, {"third", 1.0 / 3}};
  checkpoint.notes = {{"settings", "[[\"alpha\", 16.0]]\n"}, {"", ""}};
  return checkpoint;
}

template <class T>
void check_saved_checkpoint() {
  const TemporaryDirectory directory;
  const Checkpoint<T> saved = example<T>();
  save_checkpoint(directory / "c", saved);
  const Checkpoint<T> loaded = load_checkpoint<T>(directory / "c");
  REQUIRE(loaded.parameters.size() == saved.parameters.size());
  for (const auto& [name, value] : saved.parameters) {
    const Matrix<T>& other = loaded.parameters.at(name);
    REQUIRE(other.rows() == value.rows());
    REQUIRE(other.cols() == value.cols());
    CHECK(std::equal(reinterpret_cast<const char*>(value.data()),
                     reinterpret_cast<const char*>(value.data() + value.size()),
                     reinterpret_cast<const char*>(other.data())));
  }
  CHECK(loaded.optimizer.optimizer == "AdamW");
  CHECK(loaded.optimizer.learning_rate == 0.1);
  CHECK(loaded.optimizer.steps == saved.optimizer.steps);
  CHECK(same_bits(loaded.optimizer.tensors.at("a.weight.exp_avg"),
                  saved.optimizer.tensors.at("a.weight.exp_avg")));
  CHECK(loaded.tapes == saved.tapes);
  CHECK(loaded.counters == saved.counters);
  CHECK(loaded.numbers == saved.numbers);
  CHECK(loaded.notes == saved.notes);
}

}  // namespace

TEST_CASE("a checkpoint gives back every bit") {
  check_saved_checkpoint<float>();
  check_saved_checkpoint<double>();
  const TemporaryDirectory directory;
  save_checkpoint<float>(directory / "c", {});
  const auto loaded = load_checkpoint<float>(directory / "c");
  CHECK(loaded.parameters.empty());
  CHECK(loaded.optimizer.optimizer.empty());
}

TEST_CASE("a run that is killed in a step and resumed ends where the other does") {
  const TemporaryDirectory directory;
  const std::string file = directory / "run";
  for (const char* step : {"0", "17", "18", "119"}) {
    CHECK(Run({file, steps, "die-in-step", step}).wait() == SIGKILL);
    if (std::string(step) != "0")
      CHECK(load_checkpoint<float>(file).counters.at("step") == std::stoull(step));
  }
  CHECK(Run({file, steps}).wait() == 0);
  CHECK(read_whole(file) == uninterrupted());
}

TEST_CASE("a run that is killed while it saves and resumed ends where the other does") {
  const TemporaryDirectory directory;
  const std::string file = directory / "run";
  int step = 20;
  // In the length, in the header, between it and the tensors, among them, before the last byte.
  for (const std::size_t bytes : {std::size_t{1}, std::size_t{8}, std::size_t{100},
                                  uninterrupted().size() / 2, uninterrupted().size() - 1}) {
    CAPTURE(bytes);
    CHECK(Run({file, steps, "die-in-save", std::to_string(step), std::to_string(bytes)}).wait() ==
          SIGXFSZ);
    CHECK(load_checkpoint<float>(file).counters.at("step") == static_cast<unsigned>(step));
    ++step;
  }
  CHECK(directory.count() == 6);  // what each death left, and the checkpoint
  CHECK(Run({file, steps}).wait() == 0);
  CHECK(read_whole(file) == uninterrupted());
}

TEST_CASE("a run that is killed at any time and resumed ends where the other does") {
  const TemporaryDirectory directory;
  const std::string file = directory / "run";
  const Random random(1);
  int killed = 0;
  for (std::uint64_t round = 0; round < 8; ++round) {
    Run run({file, steps});
    // Until it has saved again; then anywhere within a few steps.
    const std::string before = read_whole(file);
    for (int i = 0; i < 10'000 && read_whole(file) == before; ++i)
      std::this_thread::sleep_for(std::chrono::microseconds(100));
    std::this_thread::sleep_for(std::chrono::microseconds(random.below(2000, 0, round)));
    run.kill();
    killed += run.wait() == SIGKILL;
    CHECK_NOTHROW(load_checkpoint<float>(file));
  }
  CHECK(killed > 0);
  CHECK(Run({file, steps}).wait() == 0);
  CHECK(read_whole(file) == uninterrupted());
}

TEST_CASE("a file that is no checkpoint, or another scalar's, is refused") {
  const TemporaryDirectory directory;
  const auto path = directory / "c";
  const auto refused = [&](const std::string& why) {
    check_throws<FileError>([&] { static_cast<void>(load_checkpoint<float>(path)); }, why);
  };
  refused("cannot open");
  write_safetensors(path, {});
  refused("is not a checkpoint of this library");
  save_checkpoint(path, example<double>());
  refused("is F64 (2, 2), expected F32 of two dimensions");

  save_checkpoint(path, example<float>());
  const SafetensorsReader good(path);
  const auto with = [&](const std::string& name, const Tensor& tensor) {
    std::vector<Tensor> tensors;
    for (const auto& [other, view] : good.tensors())
      if (other != name)
        tensors.push_back({other, view.dtype, view.shape, {view.bytes.begin(), view.bytes.end()}});
    if (!tensor.name.empty()) tensors.push_back(tensor);
    write_safetensors(path, tensors, good.metadata());
  };
  const Tensor scalar{"learning_rate", DType::F32, {}, std::vector<std::byte>(4)};
  with("learning_rate", scalar);
  refused("tensor \"learning_rate\" is F32 (), expected F64 ()");
  with("learning_rate", {});
  refused("tensor \"learning_rate\" is missing");
  with("tape.0", {});
  refused("its tapes are not numbered from 0 on");
  with("", {"counter.x", DType::U64, {1}, std::vector<std::byte>(8)});
  refused("tensor \"counter.x\" is U64 (1,), expected U64 ()");
  with("", {"other", DType::U8, {0}, {}});
  refused("tensor \"other\" is of no known kind");
  with("", {"optimizer.x", DType::F32, {2}, std::vector<std::byte>(8)});
  refused("of two dimensions");
}

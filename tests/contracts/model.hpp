#pragma once

#include <atomic>
#include <cstddef>
#include <thread>
#include <utility>
#include <vector>

#include <lora/core/gradients.hpp>
#include <lora/models/common/adapted_model.hpp>

#include "support/allocations.hpp"
#include "support/catch.hpp"
#include "support/random_matrix.hpp"
#include "support/temporary_directory.hpp"
#include "support/threads.hpp"
#include "support/tolerance.hpp"

namespace lora::test {

/// Gives B, which starts at zero and would hide A's gradient, random numbers; other adapters too.
template <class Model>
void randomise(Model& model) {
  using T = typename Model::Scalar;
  std::uint64_t seed = 1;
  for (Parameter<T>* parameter : model.parameters())
    if (parameter->name.find("lora_B") != std::string::npos ||
        parameter->name.find("adapter") != std::string::npos)
      parameter->value =
          T(0.2) * random_matrix<T>(parameter->value.rows(), parameter->value.cols(), seed++);
}

/// Checks what every model does, whatever its family. `load(tuning)` makes one over the same files,
/// with dropout; `lora` adapts it; `Tape` is its tape, and `batches` are two inputs of it.
template <class Tape, class Load, class Batch>
class ModelContract {
 public:
  using Model = std::invoke_result_t<const Load&, const peft::PeftConfig&>;
  using T = typename Model::Scalar;

  ModelContract(Load load, peft::PeftConfig lora, std::vector<Batch> batches)
      : load_(std::move(load)), lora_(std::move(lora)), batches_(std::move(batches)) {}

  /// Checks all of it; the storage of the frozen weights decides whether adapters are merged.
  void check() {
    check_adapters_start_at_the_base();
    check_saving_and_loading();
    check_counts();
    check_threads_infer();
    check_threads_train();
    check_a_forward_without_backward();
    if constexpr (MergeableWeight<typename Model::FrozenStorage, T>) check_merging();
  }

 private:
  static Matrix<T> output(const Model& model, const Batch& batch) {
    Matrix<T> y;
    model.forward(batch, y);
    return y;
  }

  Model made() const {
    Model model = load_(lora_);
    randomise(model);
    return model;
  }

  void check_adapters_start_at_the_base() const {
    Model model = load_(lora_);
    const Matrix<T> fresh = output(model, batches_[0]);
    model.set_adapters_enabled(false);
    CHECK(same_bits(fresh, output(model, batches_[0])));
    model.set_adapters_enabled(true);
    randomise(model);
    CHECK(largest_difference(output(model, batches_[0]), fresh) > 1e-3);
    model.set_adapters_enabled(false);
    CHECK(same_bits(output(model, batches_[0]), fresh));
  }

  void check_saving_and_loading() const {
    Model model = made();
    const TemporaryDirectory directory;
    model.save_adapter(directory.path());
    Model loaded = load_(peft::read_peft_config(directory.path()));
    loaded.load_adapter(directory.path());
    for (const Batch& batch : batches_)
      CHECK(same_bits(output(loaded, batch), output(model, batch)));
  }

  void check_counts() const {
    Model model = load_(lora_);
    Index trained = 0, stored = 0;
    for (const Parameter<T>* parameter : model.parameters()) trained += parameter->size();
    for (const Parameter<T>* parameter : model.stored_parameters()) stored += parameter->size();
    Index adapters = 0;
    for (const auto& layer : model.adapted_layers())
      adapters += count_parameters(layer.parameters());
    CHECK(model.trainable_parameters() == trained);
    CHECK(trained == adapters + stored);
    CHECK(model.total_parameters() > trained);
  }

  void check_merging() const {
    Model model = made();
    const Matrix<T> separate = output(model, batches_[0]);
    model.merge_adapters();
    CHECK(largest_difference(output(model, batches_[0]), separate) <
          1e-4 * std::max(1.0, static_cast<double>(separate.cwiseAbs().maxCoeff())));
    CHECK_THROWS_AS(model.merge_adapters(), StateError);
    Tape tape;
    Matrix<T> y;
    CHECK_THROWS_AS(model.forward(batches_[0], tape, y), StateError);
    model.unmerge_adapters();
    CHECK(same_bits(output(model, batches_[0]), separate));
    model.set_adapters_enabled(false);
    CHECK_THROWS_AS(model.merge_adapters(), StateError);
  }

  void check_threads_infer() const {
    const Model model = made();
    const Matrix<T> expected = output(model, batches_[0]);
    std::atomic<int> same = 0;
    std::vector<std::thread> threads;
    for (int t = 0; t < 4; ++t)
      threads.emplace_back([&] {
        for (int repeat = 0; repeat < 3; ++repeat)
          if (same_bits(output(model, batches_[0]), expected)) ++same;
      });
    for (std::thread& thread : threads) thread.join();
    CHECK(same == 12);
  }

  // Adds the gradients of sum(y * c) on one batch, with the masks of a tape of this stream.
  static void step(const Model& model, const Batch& batch, std::uint64_t stream,
                   Gradients<T>& gradients) {
    Tape tape(stream);
    Matrix<T> y;
    model.forward(batch, tape, y);
    const Matrix<T> c = random_matrix<T>(y.rows(), y.cols(), stream);
    model.backward(c, tape, gradients);
  }

  // Gradients of two threads, summed in a fixed order, are those of one thread.
  void check_threads_train() const {
    Model model = made();
    std::vector<Gradients<T>> together, alone;
    for (std::size_t i = 0; i < 2; ++i) {
      together.emplace_back(model.parameters());
      alone.emplace_back(model.parameters());
      step(model, batches_[i], i + 1, alone[i]);
    }
    std::vector<std::thread> threads;
    for (std::size_t i = 0; i < 2; ++i)
      threads.emplace_back([&, i] { step(model, batches_[i], i + 1, together[i]); });
    for (std::thread& thread : threads) thread.join();

    std::vector<Matrix<T>> expected;
    for (const Parameter<T>* parameter : model.parameters()) CHECK(parameter->grad.isZero());
    for (const auto& each : alone) each.add_to(model.parameters());
    for (const Parameter<T>* parameter : model.parameters()) expected.push_back(parameter->grad);
    zero_grad(model.parameters());
    for (const auto& each : together) each.add_to(model.parameters());
    std::size_t i = 0;
    for (const Parameter<T>* parameter : model.parameters()) {
      CAPTURE(parameter->name);
      CHECK(same_bits(parameter->grad, expected[i++]));
    }

    // The model's own gradients are the same sums.
    zero_grad(model.parameters());
    Tape tape(1);
    Matrix<T> y;
    model.forward(batches_[0], tape, y);
    const Matrix<T> c = random_matrix<T>(y.rows(), y.cols(), 1);
    model.backward(c, tape);
    for (const Parameter<T>* parameter : model.parameters()) {
      CAPTURE(parameter->name);
      CHECK(same_bits(parameter->grad, alone[0].of(*parameter)));
    }
  }

  void check_a_forward_without_backward() const {
    Model model = made();
    Tape tape, other;
    Matrix<T> y, expected;
    model.forward(batches_[0], tape, y);
    CHECK(!tape.empty());
    const Matrix<T> wrong = random_matrix<T>(y.rows() + 1, y.cols(), 1);
    CHECK_THROWS_AS(model.backward(wrong, tape), ShapeError);
    CHECK_THROWS_AS(model.backward(y, other), StateError);
    for (const Parameter<T>* parameter : model.parameters()) CHECK(parameter->grad.isZero());
    // Another forward begins anew, and its backward empties the tape.
    model.forward(batches_[1], tape, y);
    const Matrix<T> c = random_matrix<T>(y.rows(), y.cols(), 1);
    model.backward(c, tape);
    CHECK(tape.empty());
  }

  Load load_;
  peft::PeftConfig lora_;
  std::vector<Batch> batches_;
};

/// Makes a contract from what `load(tuning)` gives; see ModelContract.
template <class Tape, class Load, class Batch>
[[nodiscard]] ModelContract<Tape, Load, Batch> model_contract(Load load, peft::PeftConfig lora,
                                                              std::vector<Batch> batches) {
  return {std::move(load), std::move(lora), std::move(batches)};
}

}  // namespace lora::test

#pragma once

#include <string>
#include <utility>
#include <vector>

#include <lora/layers/adapted_layer_ref.hpp>

#include "contracts/trainable_layer.hpp"
#ifdef LORA_TEST_IO
#include <lora/peft/adapter.hpp>

#include "support/temporary_directory.hpp"
#endif

namespace lora::test {

/// Calls work(part) for a LoRA layer, or for every part of a group of them.
template <class Layer, class Work>
void for_each_part(Layer& layer, const Work& work) {
  if constexpr (AdaptedLayerGroup<Layer>)
    for (std::size_t p = 0; p < layer.size(); ++p) work(layer.part(p));
  else
    work(layer);
}

/// Checks that the adapter can be silenced, which leaves the frozen layer: switched off, scaled by
/// zero, or with a B of zeros and no bias of it, the same bits (with DoRA the magnitudes must be
/// the norms of W's rows and round once more); and that one that is switched on again is as before.
template <class Layer>
void check_base_is_left(Layer& layer, Index n) {
  using T = typename Layer::Scalar;
  const Matrix<T> x = random_matrix<T>(n, layer.in_features(), 1);
  Matrix<T> before, off, y;
  bool exact = true;
  for_each_part(layer, [&](auto& part) { exact = exact && !part.config().use_dora; });
  const auto is_off = [&] {
    return exact ? same_bits(y, off)
                 : largest_difference(y, off) <= Tolerance<T>(layer.in_features(), 4).value;
  };
  layer.forward(x, before);
  for_each_part(layer, [](auto& part) { part.disable_adapter(); });
  layer.forward(x, off);
  CHECK(largest_difference(before, off) > 1e-3);
  for_each_part(layer, [](auto& part) {
    part.enable_adapter();
    part.set_scale(0);
  });
  layer.forward(x, y);
  CHECK(is_off());
  std::vector<Matrix<T>> b, b_bias;
  for_each_part(layer, [&](auto& part) {
    part.set_scale(1);
    b.push_back(part.lora_B().value);
    part.lora_B().value.setZero();
    if constexpr (requires { part.lora_B_bias(); }) {
      b_bias.push_back(part.lora_B_bias().value);
      part.lora_B_bias().value.setZero();
    }
  });
  layer.forward(x, y);
  CHECK(is_off());
  std::size_t p = 0;
  for_each_part(layer, [&](auto& part) {
    if constexpr (requires { part.lora_B_bias(); }) part.lora_B_bias().value = b_bias[p];
    part.lora_B().value = b[p++];
  });
  layer.forward(x, y);
  CHECK(same_bits(y, before));
}

/// Checks that a merged layer computes what it did, up to rounding, that unmerging gives back the
/// bits, and that what merging forbids is refused.
template <class Layer>
void check_merge(Layer& layer, Index n) {
  using T = typename Layer::Scalar;
  const Matrix<T> x = random_matrix<T>(n, layer.in_features(), 1);
  Matrix<T> apart, merged, after;
  Tape<T> tape;
  layer.forward(x, apart);
  for_each_part(layer, [](auto& part) { part.merge(); });
  layer.forward(x, merged);
  CHECK(largest_difference(apart, merged) <= Tolerance<T>(layer.in_features(), 20).value);
  CHECK_THROWS_AS(layer.forward(x, tape, after), StateError);
  CHECK(tape.empty());
  for_each_part(layer, [](auto& part) {
    CHECK_THROWS_AS(part.merge(), StateError);
    CHECK_THROWS_AS(part.set_scale(2), StateError);
    CHECK_THROWS_AS(part.disable_adapter(), StateError);
    part.unmerge();
    CHECK_THROWS_AS(part.unmerge(), StateError);
  });
  layer.forward(x, after);
  CHECK(same_bits(after, apart));
}

/// Checks that the tensors that the layer describes are the whole of its adapter: given to another
/// layer over the same weight, by hand and as files, they make it compute the same bits.
template <class Layer>
void check_saved_and_loaded(Layer& layer, Index n) {
  using T = typename Layer::Scalar;
  const Matrix<T> x = random_matrix<T>(n, layer.in_features(), 1);
  int count = 0;
  for_each_part(layer, [&](auto& part) { part.set_name(message("block.", count++)); });
  Matrix<T> expected, y;
  layer.forward(x, expected);
  const auto other = [&] {
    Layer made = layer;
    for (Parameter<T>* parameter : made.parameters()) parameter->value.setConstant(T(0.5));
    return made;
  };
  Layer by_hand = other();
  const auto from = list_adapted_layers<AdaptedLayerRef<T>>(layer);
  const auto to = list_adapted_layers<AdaptedLayerRef<T>>(by_hand);
  REQUIRE(from.size() == to.size());
  for (std::size_t i = 0; i < from.size(); ++i) {
    std::vector<Matrix<T>> values;
    for (const AdapterTensor<T>& tensor : from[i].tensors(from[i].config()))
      values.push_back(tensor.parameter->value);
    to[i].replace_adapter(from[i].config(), std::move(values));
  }
  by_hand.forward(x, y);
  CHECK(same_bits(y, expected));
#ifdef LORA_TEST_IO
  const TemporaryDirectory folder;
  peft::save_adapter<T>(folder.path(), from);
  Layer by_files = other();
  peft::load_adapter<T>(folder.path(), list_adapted_layers<AdaptedLayerRef<T>>(by_files));
  by_files.forward(x, y);
  CHECK(same_bits(y, expected));
#endif
}

/// Checks that the layer counts what it lists.
template <class Layer>
void check_counts(Layer& layer) {
  Index trained = 0;
  for_each_part(layer, [&](auto& part) {
    trained += part.trainable_parameters();
    CHECK(part.total_parameters() >= part.trainable_parameters());
    CHECK(count_parameters(part.parameters()) == part.trainable_parameters());
  });
  CHECK(count_parameters(layer.parameters()) == trained);
}

/// The contract of a LoRA layer of any kind, or of a group of them, on n tokens. `layer` has an
/// active adapter that says something: its B is not zero. Its frozen weight can be merged into
/// unless `merges` is false.
template <bool merges = true, class Layer>
void check_lora_layer(Layer layer, Index n) {
  check_counts(layer);
  check_bad_shapes(layer);
  check_callers_memory(layer, n);
  check_overlap_refused(layer, n);
  check_second_step_allocates_nothing(layer, n);
  check_thread_independence(layer, n);
  check_outside_gradients(layer, n);
  check_two_threads_train(layer, n);
  check_input_is_remembered(layer, n);
  check_base_is_left(layer, n);
  check_saved_and_loaded(layer, n);
  if constexpr (merges) check_merge(layer, n);
}

}  // namespace lora::test

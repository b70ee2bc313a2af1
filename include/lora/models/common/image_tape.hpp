#pragma once

#include "lora/core/matrix.hpp"
#include "lora/core/tape.hpp"
#include "lora/models/common/image_batch.hpp"
#include "lora/nn/max_pooling.hpp"

namespace lora::models {

/// What a forward of an image model keeps for its backward. The memory stays and is used again.
template <class T>
struct ImageTape {
  /// Makes an empty tape; threads that train one model give theirs different streams.
  explicit ImageTape(std::uint64_t stream = 0) : frames(stream) {}

  /// Tells whether every forward has had its backward.
  [[nodiscard]] bool empty() const { return frames.empty(); }

  /// Forgets a forward that no backward follows.
  void clear() { frames.clear(); }

  Tape<T> frames;
  ImageBatch<T> batch;      // of the forward, where its pixels are needed again
  MaxPoolingChoice choice;  // of the stem's pooling
};

}  // namespace lora::models

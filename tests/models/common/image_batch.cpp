#include <lora/models/common/image_batch.hpp>

#include "support/catch.hpp"

TEST_CASE("a batch of images is its size and its pixels") {
  const lora::models::ImageBatch<float> batch{{2, 3, 4}, lora::Matrix<float>::Ones(24, 3)};
  CHECK(batch.size.rows() == batch.pixels.rows());
}

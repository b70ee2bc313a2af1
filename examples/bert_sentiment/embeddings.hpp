#pragma once

#include <lora/lora.hpp>
#include <lora/models.hpp>
#include <lora/text.hpp>
#include <lora/train/batches.hpp>
#include <string>
#include <vector>

#include "../bert/texts.hpp"

namespace sentiment {

/// Returns the model's embeddings (texts, D): the mean of each text's last hidden states.
template <class Model>
[[nodiscard]] lora::Matrix<float> embeddings(const Model& model, const bert::Texts& texts,
                                             const lora::text::BertTokenizer& tokenizer,
                                             bert::Index batch_size) {
  lora::Matrix<float> all(static_cast<bert::Index>(texts.size()), model.config().hidden_size), some;
  lora::models::PackedBatch packed;
  bert::PaddedBatch padded;
  for (const bert::Batch& batch :
       lora::train::batches_by_length(texts.lengths, {.size = batch_size})) {
    padded.assign(texts, batch, tokenizer);
    packed.assign(padded.tokens());
    model.embed(packed, some);
    for (std::size_t i = 0; i < batch.size(); ++i)
      all.row(batch[i]) = some.row(static_cast<bert::Index>(i));
  }
  return all;
}

/// Returns the mean over the rows of the cosine between a row of `a` and that of `b`: 1 where
/// nothing has changed.
[[nodiscard]] inline double mean_cosine(const lora::Matrix<float>& a,
                                        const lora::Matrix<float>& b) {
  double sum = 0;
  for (bert::Index row = 0; row < a.rows(); ++row) {
    const auto u = a.row(row).cast<double>(), v = b.row(row).cast<double>();
    sum += u.dot(v) / (u.norm() * v.norm());
  }
  return sum / static_cast<double>(a.rows());
}

}  // namespace sentiment

#pragma once

#include <cstdint>
#include <lora/core/matrix.hpp>
#include <lora/io/json.hpp>
#include <optional>
#include <string>

#include "method.hpp"

namespace sentiment {

/// What one method gave under one seed.
struct Result {
  std::string method = {};
  Family family = Family::head;
  double learning_rate = 0;
  lora::Index trainable = 0;
  double validation = 0;                      ///< of the best epoch, in percent
  double test = 0;                            ///< the same parameters on the test sentences
  double seconds = 0;                         ///< of the training steps
  double peak_mib = 0;                        ///< of loading, training and validation
  std::uintmax_t stored = 0;                  ///< bytes of the files
  double similarity = 1;                      ///< see mean_cosine: embeddings beside the base's
  std::optional<double> similarity_off = {};  ///< with the adapter off, where it can be
};

/// Returns the result for a file.
[[nodiscard]] inline lora::io::Json to_json(const Result& result) {
  lora::io::Json json{{"method", result.method},
                      {"family", static_cast<int>(result.family)},
                      {"learning_rate", result.learning_rate},
                      {"trainable", result.trainable},
                      {"validation", result.validation},
                      {"test", result.test},
                      {"seconds", result.seconds},
                      {"peak_mib", result.peak_mib},
                      {"stored", result.stored},
                      {"similarity", result.similarity},
                      {"similarity_off", nullptr}};
  if (result.similarity_off) json["similarity_off"] = *result.similarity_off;
  return json;
}

/// Returns the result that to_json wrote. Throws nlohmann's exceptions for other values.
[[nodiscard]] inline Result result_of(const lora::io::Json& json) {
  Result result{.method = json.at("method").get<std::string>(),
                .family = static_cast<Family>(json.at("family").get<int>()),
                .learning_rate = json.at("learning_rate").get<double>(),
                .trainable = json.at("trainable").get<lora::Index>(),
                .validation = json.at("validation").get<double>(),
                .test = json.at("test").get<double>(),
                .seconds = json.at("seconds").get<double>(),
                .peak_mib = json.at("peak_mib").get<double>(),
                .stored = json.at("stored").get<std::uintmax_t>(),
                .similarity = json.at("similarity").get<double>()};
  if (const lora::io::Json& off = json.at("similarity_off"); !off.is_null())
    result.similarity_off = off.get<double>();
  return result;
}

}  // namespace sentiment

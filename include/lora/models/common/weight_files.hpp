#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <utility>
#include <variant>

#include "lora/io/model_reader.hpp"
#include "lora/io/tensor_view.hpp"
#include "lora/models/common/gguf_weights.hpp"
#include "lora/models/common/safetensors_weights.hpp"

namespace lora::models {

/// The files that a model's tensors lie in, by Hugging Face's names: a directory of safetensors, or
/// a GGUF file.
class WeightFiles {
 public:
  /// Opens a directory; see io::ModelReader.
  explicit WeightFiles(const std::filesystem::path& directory)
      : files_(SafetensorsWeights(io::ModelReader(directory))), path_(directory) {}

  /// Takes a GGUF file.
  explicit WeightFiles(GgufWeights weights) : files_(std::move(weights)) {
    path_ = std::get<GgufWeights>(files_).path();
  }

  [[nodiscard]] const std::filesystem::path& path() const { return path_; }

  [[nodiscard]] bool are_gguf() const { return std::holds_alternative<GgufWeights>(files_); }

  [[nodiscard]] bool contains(const std::string& name) const {
    return std::visit([&](const auto& files) { return files.contains(name); }, files_);
  }

  /// Returns the shape of a tensor. Throws FileError if there is none of that name.
  [[nodiscard]] const io::Shape& shape(const std::string& name) {
    if (const auto* gguf = std::get_if<GgufWeights>(&files_)) return gguf->shape(name);
    return std::get<SafetensorsWeights>(files_).shape(name);
  }

  /// Returns the tensor as it lies in safetensors files, null if there is none of that name or the
  /// files are others.
  [[nodiscard]] const io::TensorView* view(const std::string& name) {
    auto* files = std::get_if<SafetensorsWeights>(&files_);
    return files != nullptr ? files->view(name) : nullptr;
  }

  /// Tells whether bitsandbytes stored that tensor in codes: then it is (out, in) in the files,
  /// whatever the layout of the module is.
  [[nodiscard]] bool is_coded(const std::string& name) {
    auto* files = std::get_if<SafetensorsWeights>(&files_);
    return files != nullptr && files->is_coded(name);
  }

  /// Returns the weight of that name where bitsandbytes stored it in four bits. Throws FileError.
  [[nodiscard]] std::optional<FourBitTensor> four_bit(const std::string& name) {
    auto* files = std::get_if<SafetensorsWeights>(&files_);
    return files != nullptr ? files->four_bit(name) : std::nullopt;
  }

  /// Returns the weight of that name where bitsandbytes stored it in eight bits. Throws FileError.
  [[nodiscard]] std::optional<Int8Tensor> int8(const std::string& name) {
    auto* files = std::get_if<SafetensorsWeights>(&files_);
    return files != nullptr ? files->int8(name) : std::nullopt;
  }

  /// Returns the rows of a matrix as the files have them, or nothing where they are of a type that
  /// BlockWeight does not read.
  [[nodiscard]] std::optional<StoredRows> rows(const std::string& name) {
    if (const auto* gguf = std::get_if<GgufWeights>(&files_)) return gguf->rows(name);
    return std::get<SafetensorsWeights>(files_).rows(name);
  }

  /// Returns the numbers of a tensor where they lie, or null where they have to be converted.
  template <class T>
  [[nodiscard]] const T* in_place(const std::string& name) {
    if (const auto* gguf = std::get_if<GgufWeights>(&files_))
      return gguf->template in_place<T>(name);
    return std::get<SafetensorsWeights>(files_).template in_place<T>(name);
  }

  /// Returns a copy of a tensor, converted to T; a vector is one row. Throws FileError.
  template <class T>
  [[nodiscard]] Matrix<T> read(const std::string& name) {
    return std::visit([&](auto& files) { return files.template read<T>(name); }, files_);
  }

  /// Returns a copy of a tensor of any dimensions with rows x cols elements. Throws FileError.
  template <class T>
  [[nodiscard]] Matrix<T> read(const std::string& name, Index rows, Index cols) {
    if (auto* reader = std::get_if<SafetensorsWeights>(&files_))
      return reader->template read<T>(name, rows, cols);
    Matrix<T> values = read<T>(name);
    if (values.size() != rows * cols)
      throw FileError(message(path_.string(), ": tensor ", name, " has ", values.size(),
                              " elements, expected ", rows, " x ", cols));
    return ConstMatrixRef<T>(values.data(), rows, cols, cols);
  }

  /// Gives back the pages of the files that were read.
  void release_pages() const {
    std::visit([](const auto& files) { files.release_pages(); }, files_);
  }

 private:
  std::variant<SafetensorsWeights, GgufWeights> files_;
  std::filesystem::path path_;
};

}  // namespace lora::models

#pragma once

#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <utility>

#include "lora/core/printable.hpp"
#include "lora/io/model_reader.hpp"
#include "lora/io/tensor_view.hpp"
#include "lora/models/common/four_bit_tensor.hpp"
#include "lora/models/common/int8_tensor.hpp"
#include "lora/models/common/stored_rows.hpp"

namespace lora::models {

/// The tensors of a model in safetensors files. A weight that bitsandbytes stored in four or eight
/// bits has the shape (out, in) of W, whatever lies in the file, and read() decodes it.
class SafetensorsWeights {
 public:
  /// Takes the files. Throws FileError, naming it, for a tensor of GPTQ or AWQ.
  explicit SafetensorsWeights(io::ModelReader files) : files_(std::move(files)) {
    for (const auto& [name, file] : files_.tensors())
      for (const char* end : {".qweight", ".qzeros"})
        if (name.ends_with(end))
          throw FileError(message((files_.directory() / file).string(), ": tensor ",
                                  in_quotes(name),
                                  " is of GPTQ or AWQ, which are not read: take the model that was "
                                  "quantised, one of bitsandbytes, or a GGUF"));
  }

  [[nodiscard]] const std::filesystem::path& path() const { return files_.directory(); }
  [[nodiscard]] bool contains(const std::string& name) const { return files_.contains(name); }

  /// Returns the shape of a tensor. Throws FileError if there is none of that name.
  [[nodiscard]] const io::Shape& shape(const std::string& name) {
    const Coded* coded = four_bit_state(name);
    return coded != nullptr ? coded->shape : files_.tensor(name).shape;
  }

  /// Returns the tensor as it lies in the file, or null.
  [[nodiscard]] const io::TensorView* view(const std::string& name) {
    return files_.contains(name) ? &files_.tensor(name) : nullptr;
  }

  /// Tells whether bitsandbytes stored that tensor in codes.
  [[nodiscard]] bool is_coded(const std::string& name) {
    return four_bit_state(name) != nullptr || is_int8_tensor(files_, name);
  }

  /// Returns the weight of that name where bitsandbytes stored it in four bits. Throws FileError.
  [[nodiscard]] std::optional<FourBitTensor> four_bit(const std::string& name) {
    const Coded* coded = four_bit_state(name);
    if (coded == nullptr) return std::nullopt;
    return read_four_bit_tensor(files_, name, coded->state);
  }

  /// Returns the weight of that name where bitsandbytes stored it in eight bits. Throws FileError.
  [[nodiscard]] std::optional<Int8Tensor> int8(const std::string& name) {
    if (!is_int8_tensor(files_, name)) return std::nullopt;
    return read_int8_tensor(files_, name);
  }

  /// Returns the rows of a matrix as they lie in the file, or nothing where they are of a type that
  /// BlockWeight does not read.
  [[nodiscard]] std::optional<StoredRows> rows(const std::string& name) {
    const io::TensorView& view = files_.tensor(name);
    const auto format = row_format(view.dtype);
    if (!format || is_coded(name)) return std::nullopt;
    return StoredRows{*format, view.bytes, files_.file(name)};
  }

  /// Returns the numbers where they lie, or null where they have to be converted.
  template <class T>
  [[nodiscard]] const T* in_place(const std::string& name) {
    return is_coded(name) ? nullptr : files_.tensor(name).template data_as<T>();
  }

  /// Returns a copy, converted to T; a vector is one row. Throws FileError.
  template <class T>
  [[nodiscard]] Matrix<T> read(const std::string& name) {
    if (auto coded = four_bit(name)) return std::move(*coded).template dense<T>();
    if (auto coded = int8(name)) return coded->template weight<T>().dense();
    return files_.template read<T>(name);
  }

  /// Returns a copy of a tensor of any dimensions with rows x cols elements. Throws FileError.
  template <class T>
  [[nodiscard]] Matrix<T> read(const std::string& name, Index rows, Index cols) {
    return files_.template read<T>(name, rows, cols);
  }

  /// Gives back the pages of the files that were read.
  void release_pages() const { files_.release_pages(); }

 private:
  struct Coded {
    FourBitState state;
    io::Shape shape;
  };

  const Coded* four_bit_state(const std::string& name) {
    const auto known = coded_.find(name);
    if (known != coded_.end()) return known->second ? &*known->second : nullptr;
    std::optional<Coded> coded;
    if (const auto state = find_four_bit_state(files_, name))
      coded = Coded{*state, {state->out_features, state->in_features}};
    const auto& kept = coded_.emplace(name, std::move(coded)).first->second;
    return kept ? &*kept : nullptr;
  }

  io::ModelReader files_;
  std::map<std::string, std::optional<Coded>> coded_;  // of the names that were asked for
};

}  // namespace lora::models

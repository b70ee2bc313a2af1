#pragma once

#include <algorithm>
#include <cstddef>
#include <filesystem>
#include <map>
#include <memory>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "lora/core/printable.hpp"
#include "lora/core/scratch.hpp"
#include "lora/io/gguf/gguf_reader.hpp"
#include "lora/io/tensor_view.hpp"
#include "lora/models/common/stored_rows.hpp"

namespace lora::models {

/// The row of a weight in a GGUF that holds row `row` of Hugging Face's, of heads of D rows whose
/// halves llama.cpp interleaves: 2 (j mod D/2) + j / (D/2) for row j of a head.
[[nodiscard]] inline Index interleaved_row(Index row, Index head_rows) {
  const Index j = row % head_rows, half = head_rows / 2;
  return row - j + 2 * (j % half) + j / half;
}

/// A module of a layer in Hugging Face's words and in llama.cpp's.
struct GgufName {
  std::string_view module;  ///< "self_attn.q_proj"
  std::string_view gguf;    ///< "attn_q"
};

/// Where a tensor lies in a GGUF file.
struct GgufPlace {
  std::string name;     ///< "blk.0.attn_q.weight"
  Index head_rows = 0;  ///< of heads whose halves are interleaved; 0: rows lie as they are
};

/// The tensors of a model in a GGUF file, under Hugging Face's names.
class GgufWeights {
 public:
  /// Takes the file and the place of each tensor. Throws FileError for one that is missing.
  GgufWeights(std::shared_ptr<const io::GgufReader> file, std::map<std::string, GgufPlace> places)
      : file_(std::move(file)), places_(std::move(places)) {
    for (const auto& [name, place] : places_) {
      const io::GgufTensor& tensor = file_->tensor(place.name);
      if (place.head_rows > 0 && (place.head_rows % 2 != 0 || tensor.shape.empty() ||
                                  tensor.shape.front() % place.head_rows != 0))
        throw FileError(message(path().string(), ": tensor \"", place.name, "\" is of shape ",
                                io::shape_text(tensor.shape), ", expected heads of ",
                                place.head_rows, " rows"));
    }
  }

  /// Throws FileError for a tensor of the file that has no place here and is not `besides`, as
  /// llama.cpp does: it would change what the model computes. `type` names the model.
  void refuse_others(std::string_view type, std::string_view besides = {}) const {
    std::set<std::string_view> known{besides};
    for (const auto& [name, place] : places_) known.insert(place.name);
    for (const auto& [name, tensor] : file_->tensors())
      if (!known.contains(name))
        throw FileError(message(path().string(), ": tensor ", in_quotes(name),
                                " is none of a model of type ", type));
  }

  [[nodiscard]] const std::filesystem::path& path() const { return file_->path(); }
  [[nodiscard]] bool contains(const std::string& name) const { return places_.contains(name); }

  /// Returns the shape of the tensor of that name. Throws FileError if there is none.
  [[nodiscard]] const io::Shape& shape(const std::string& name) const {
    return tensor(name).second->shape;
  }

  /// Returns its numbers where they lie, or null where they are of another type than T, of other
  /// order, or not aligned.
  template <class T>
  [[nodiscard]] const T* in_place(const std::string& name) const {
    const auto [place, found] = tensor(name);
    if (found->type != io::GgufType::F32 || place->head_rows > 0) return nullptr;
    const io::TensorView view{io::DType::F32, found->shape, found->bytes};
    return view.template data_as<T>();
  }

  /// Returns a matrix's rows as they lie in the file, or where heads are interleaved there a copy
  /// in Hugging Face's order.
  [[nodiscard]] StoredRows rows(const std::string& name) const {
    const auto [place, found] = tensor(name);
    if (place->head_rows == 0) return {found->type, found->bytes, file_};
    auto copy = std::make_shared<std::vector<std::byte>>(found->bytes.size());
    const auto rows = static_cast<std::size_t>(found->shape.front());
    const std::size_t row_bytes = rows == 0 ? 0 : copy->size() / rows;
    for (std::size_t i = 0; i < rows; ++i) {
      const Index stored = interleaved_row(static_cast<Index>(i), place->head_rows);
      std::copy_n(found->bytes.data() + static_cast<std::size_t>(stored) * row_bytes, row_bytes,
                  copy->data() + i * row_bytes);
    }
    const std::span<const std::byte> bytes(*copy);
    return {found->type, bytes, std::move(copy), bytes.size()};
  }

  /// Returns its numbers, decoded; a vector is one row.
  template <class T>
  [[nodiscard]] Matrix<T> read(const std::string& name) const {
    const auto [place, found] = tensor(name);
    const bool is_matrix = found->shape.size() == 2;
    const Index rows = is_matrix ? found->shape[0] : 1;
    const Index cols = rows == 0 ? 0 : found->size() / rows;
    Matrix<T> values(rows, cols);
    if (values.size() == 0) return values;
    const auto row_bytes = static_cast<Index>(found->bytes.size()) / rows;
    Scratch scratch;
    auto* row = scratch.take<float>(cols);
    for (Index i = 0; i < rows; ++i) {
      const Index stored =
          place->head_rows > 0 && is_matrix ? interleaved_row(i, place->head_rows) : i;
      io::decode_gguf(found->type, found->bytes.data() + stored * row_bytes, cols, row);
      for (Index j = 0; j < cols; ++j) {
        const Index from =
            place->head_rows > 0 && !is_matrix ? interleaved_row(j, place->head_rows) : j;
        values(i, j) = static_cast<T>(row[from]);
      }
    }
    return values;
  }

  /// Gives back the pages of the file that were read.
  void release_pages() const { file_->release_pages(); }

 private:
  [[nodiscard]] std::pair<const GgufPlace*, const io::GgufTensor*> tensor(
      const std::string& name) const {
    const auto found = places_.find(name);
    if (found == places_.end())
      throw FileError(message(path().string(), ": has no tensor for ", in_quotes(name)));
    return {&found->second, &file_->tensor(found->second.name)};
  }

  std::shared_ptr<const io::GgufReader> file_;
  std::map<std::string, GgufPlace> places_;
};

}  // namespace lora::models

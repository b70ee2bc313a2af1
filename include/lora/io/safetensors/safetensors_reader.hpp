#pragma once

#include <filesystem>
#include <map>
#include <string>
#include <utility>

#include "lora/core/printable.hpp"
#include "lora/io/convert.hpp"
#include "lora/io/mapped_file.hpp"
#include "lora/io/safetensors/safetensors_header.hpp"

namespace lora::io {

/// A safetensors file that is read: its tensors in place, or converted into matrices. The whole
/// header is checked at once; see read_safetensors_header.
class SafetensorsReader {
 public:
  /// Maps the file. Throws FileError, naming it, for whatever is wrong with it.
  explicit SafetensorsReader(const std::filesystem::path& path)
      : file_(path), header_(read_safetensors_header(file_.bytes(), path.string())) {}

  /// Returns the file's notes on itself: {"format": "pt"} from Python.
  [[nodiscard]] const std::map<std::string, std::string>& metadata() const {
    return header_.metadata;
  }

  /// Lists the tensors by name; the views live as long as this object.
  [[nodiscard]] const std::map<std::string, TensorView>& tensors() const { return header_.tensors; }

  [[nodiscard]] bool contains(const std::string& name) const {
    return header_.tensors.contains(name);
  }

  /// Returns the tensor of that name; throws FileError if there is none.
  [[nodiscard]] const TensorView& tensor(const std::string& name) const {
    const auto found = header_.tensors.find(name);
    if (found == header_.tensors.end()) throw FileError(where(name) + " is missing");
    return found->second;
  }

  /// Returns a copy converted to T: (rows, cols) of two dimensions, (1, n) of one. Throws FileError
  /// for a missing tensor, other dimensions, a dtype other than F64, F32, F16 and BF16, and a
  /// number outside T's range.
  template <class T>
  [[nodiscard]] Matrix<T> read(const std::string& name) const {
    const Shape& shape = tensor(name).shape;
    if (shape.size() != 1 && shape.size() != 2)
      throw FileError(message(where(name), " is of shape ", shape_text(shape),
                              ", expected one or two dimensions"));
    return read<T>(name, shape.size() == 1 ? 1 : shape.front(), shape.back());
  }

  /// Returns a copy, in the same order, of a tensor of any dimensions with rows x cols elements.
  /// Throws as `read`.
  template <class T>
  [[nodiscard]] Matrix<T> read(const std::string& name, Index rows, Index cols) const {
    const TensorView& view = tensor(name);
    Index size = 1;
    for (const Index extent : view.shape) size *= extent;
    if (size != rows * cols)
      throw FileError(message(where(name), " is of shape ", shape_text(view.shape), ", expected ",
                              rows, " x ", cols, " elements"));
    Matrix<T> matrix(rows, cols);
    decode(view.bytes.data(), view.dtype, matrix.size(), matrix.data(), where(name));
    return matrix;
  }

  [[nodiscard]] const std::filesystem::path& path() const { return file_.path(); }

  /// Gives back the memory that holds parts of the file; see MappedFile.
  void release_pages() const { file_.release_pages(); }

 private:
  [[nodiscard]] std::string where(const std::string& name) const {
    return path().string() + ": tensor " + in_quotes(name);
  }

  MappedFile file_;
  SafetensorsHeader header_;
};

}  // namespace lora::io

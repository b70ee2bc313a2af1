#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <map>
#include <set>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "lora/core/printable.hpp"
#include "lora/io/atomic_file.hpp"
#include "lora/io/convert.hpp"
#include "lora/io/json_text.hpp"
#include "lora/io/safetensors/safetensors_limits.hpp"
#include "lora/io/tensor_view.hpp"

namespace lora::io {

/// A tensor to be written: bytes.size() is that of shape and dtype.
struct Tensor {
  std::string name;
  DType dtype = DType::F32;
  Shape shape;
  std::vector<std::byte> bytes;
};

/// What is known of a tensor before its bytes are.
struct TensorPlan {
  std::string name;
  DType dtype = DType::F32;
  Shape shape;
};

/// Makes a tensor of `shape` (of as many elements as the matrix has) from a matrix, converted to
/// `dtype`. Throws FileError for a dtype other than F64, F32, F16 and BF16 and for a finite number
/// outside its range.
template <class Derived>
[[nodiscard]] Tensor make_tensor(std::string name, const Eigen::MatrixBase<Derived>& matrix,
                                 Shape shape, DType dtype = dtype_of<typename Derived::Scalar>) {
  using T = typename Derived::Scalar;
  const std::size_t bytes = static_cast<std::size_t>(matrix.size()) * bits_of(dtype) / 8;
  Tensor tensor{std::move(name), dtype, std::move(shape), std::vector<std::byte>(bytes)};
  const auto write = [&](const T* numbers) {
    encode(numbers, matrix.size(), dtype, tensor.bytes.data(), "tensor " + in_quotes(tensor.name));
  };
  if constexpr (RowMajorReadable<Derived, T>) {
    if (matrix.rows() < 2 || matrix.derived().outerStride() == matrix.cols()) {
      write(matrix.derived().data());
      return tensor;
    }
  }
  write(Matrix<T>(matrix).data());
  return tensor;
}

/// Makes a tensor of the matrix's own shape.
template <class Derived>
[[nodiscard]] Tensor make_tensor(std::string name, const Eigen::MatrixBase<Derived>& matrix,
                                 DType dtype = dtype_of<typename Derived::Scalar>) {
  return make_tensor(std::move(name), matrix, Shape{matrix.rows(), matrix.cols()}, dtype);
}

/// The notes that PEFT and transformers want to see in a file's header.
[[nodiscard]] inline std::map<std::string, std::string> pytorch_metadata() {
  return {{"format", "pt"}};
}

namespace detail {

[[nodiscard]] inline std::size_t byte_count(const Tensor& tensor) { return tensor.bytes.size(); }

[[nodiscard]] inline std::size_t byte_count(const TensorPlan& plan) {
  std::size_t bits = bits_of(plan.dtype);
  for (const Index size : plan.shape) bits *= static_cast<std::size_t>(size);
  return bits / 8;
}

/// Returns the header's text: metadata, then the tensors in their order, padded to 8 bytes.
template <class Described>
[[nodiscard]] std::string safetensors_header_text(
    const std::vector<Described>& tensors, const std::map<std::string, std::string>& metadata,
    const std::string& where) {
  std::string text = "{";
  const auto separate = [&text] {
    if (text.size() > 1) text += ',';
  };
  if (!metadata.empty()) {
    text += "\"__metadata__\":{";
    for (const auto& [key, value] : metadata) {
      if (text.back() != '{') text += ',';
      text += quoted(key, where) + ":" + quoted(value, where);
    }
    text += '}';
  }
  std::size_t offset = 0;
  for (const Described& tensor : tensors) {
    separate();
    text += quoted(tensor.name, where) + R"(:{"dtype":")";
    text += name_of(tensor.dtype);
    text += R"(","shape":[)";
    for (const Index size : tensor.shape) {
      if (text.back() != '[') text += ',';
      text += std::to_string(size);
    }
    text += "],\"data_offsets\":[" + std::to_string(offset) + ",";
    offset += byte_count(tensor);
    text += std::to_string(offset) + "]}";
  }
  text += '}';
  text.append((8 - text.size() % 8) % 8, ' ');
  return text;
}

inline void require_new_name(const std::string& name, std::set<std::string>& names,
                             const std::string& where) {
  if (name == "__metadata__" || !names.insert(name).second)
    throw FileError(message(where, ": the name \"", printable(name, 300),
                            name == "__metadata__" ? "\" is reserved" : "\" stands twice"));
}

inline void require_fitting_bytes(const Tensor& tensor, const std::string& where) {
  std::size_t bits = bits_of(tensor.dtype);
  for (const Index size : tensor.shape) bits *= static_cast<std::size_t>(size);
  if (bits != tensor.bytes.size() * 8)
    throw FileError(message(where, ": tensor ", in_quotes(tensor.name), " has ",
                            tensor.bytes.size(), " bytes, which do not fit ", name_of(tensor.dtype),
                            " ", shape_text(tensor.shape)));
}

// Puts the tensors in the order of the file and writes what stands before their bytes.
template <class Described>
void write_safetensors_header(AtomicFile& file, std::vector<Described>& tensors,
                              const std::map<std::string, std::string>& metadata) {
  const std::string where = file.path().string();
  std::sort(tensors.begin(), tensors.end(), [](const Described& a, const Described& b) {
    return a.dtype != b.dtype ? a.dtype > b.dtype : a.name < b.name;
  });
  const std::string header = safetensors_header_text(tensors, metadata, where);
  if (header.size() > safetensors_header_limit)
    throw FileError(where + ": the header would be larger than readers accept");
  const std::uint64_t length = header.size();
  file.write(std::as_bytes(std::span(&length, 1)));
  file.write(header);
}

}  // namespace detail

/// Writes the bytes of a safetensors file, laid out as the reference implementation does: larger
/// element types first, then by name, so that every tensor is aligned. Does not commit `file`.
/// Throws FileError for names that repeat or are not UTF-8, for bytes that do not fit their shape,
/// and when the file cannot be written.
inline void write_safetensors(
    AtomicFile& file, std::vector<Tensor> tensors,
    const std::map<std::string, std::string>& metadata = pytorch_metadata()) {
  std::set<std::string> names;
  for (const Tensor& tensor : tensors) {
    detail::require_new_name(tensor.name, names, file.path().string());
    detail::require_fitting_bytes(tensor, file.path().string());
  }
  detail::write_safetensors_header(file, tensors, metadata);
  for (const Tensor& tensor : tensors) file.write(tensor.bytes);
}

/// Writes the bytes of a safetensors file, one tensor after the other, for files that are larger
/// than memory: `bytes(plan)` is called for each plan, in the file's order, and returns a range of
/// its bytes, which are written before the next call. Throws as write_safetensors, and what `bytes`
/// throws; what was written of the file is then incomplete, and is not to be committed.
template <class Bytes>
void stream_safetensors(AtomicFile& file, std::vector<TensorPlan> plans, const Bytes& bytes,
                        const std::map<std::string, std::string>& metadata = pytorch_metadata()) {
  std::set<std::string> names;
  for (const TensorPlan& plan : plans)
    detail::require_new_name(plan.name, names, file.path().string());
  detail::write_safetensors_header(file, plans, metadata);
  for (const TensorPlan& plan : plans) {
    const auto& written = bytes(plan);
    if (written.size() != detail::byte_count(plan))
      throw FileError(message(file.path().string(), ": tensor ", in_quotes(plan.name), " has ",
                              written.size(), " bytes, expected ", detail::byte_count(plan)));
    file.write(written);
  }
}

/// Writes a safetensors file atomically (AtomicFile); if it throws, an old file is as it was.
inline void write_safetensors(
    const std::filesystem::path& path, std::vector<Tensor> tensors,
    const std::map<std::string, std::string>& metadata = pytorch_metadata()) {
  AtomicFile file(path);
  write_safetensors(file, std::move(tensors), metadata);
  file.commit();
}

}  // namespace lora::io

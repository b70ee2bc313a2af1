#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "lora/core/finite.hpp"
#include "lora/core/printable.hpp"
#include "lora/io/atomic_file.hpp"
#include "lora/io/gguf/gguf_type.hpp"
#include "lora/io/gguf/gguf_value.hpp"
#include "lora/io/tensor_view.hpp"

namespace lora::io {

/// A writer of GGUF files, version 3. Keys and tensors keep the order in which they are added.
///
///     GgufWriter file;
///     file.set("general.architecture", "llama");
///     file.set("llama.block_count", std::uint32_t{2});
///     file.add("blk.0.attn_q.weight", GgufType::F16, weight);
///     file.write("model.gguf");
class GgufWriter {
 public:
  /// Adds a key with a text. Throws FileError for an empty key, and for one that is there.
  void set(const std::string& key, std::string_view value) {
    begin_key(key, GgufValueType::text);
    put_text(keys_, value);
  }
  void set(const std::string& key, const char* value) { set(key, std::string_view(value)); }

  /// Adds a key with a number of that type, or a truth value.
  void set(const std::string& key, std::uint32_t value) { put(key, GgufValueType::u32, value); }
  void set(const std::string& key, float value) { put(key, GgufValueType::f32, value); }
  void set(const std::string& key, bool value) {
    put(key, GgufValueType::boolean, static_cast<std::uint8_t>(value));
  }

  /// Adds a key with a list of texts, of numbers, or of whole numbers.
  void set(const std::string& key, const std::vector<std::string>& values) {
    begin_list(key, GgufValueType::text, values.size());
    for (const std::string& value : values) put_text(keys_, value);
  }
  void set(const std::string& key, const std::vector<float>& values) {
    begin_list(key, GgufValueType::f32, values.size());
    for (const float value : values) put_number(keys_, value);
  }
  void set(const std::string& key, const std::vector<std::int32_t>& values) {
    begin_list(key, GgufValueType::i32, values.size());
    for (const std::int32_t value : values) put_number(keys_, value);
  }

  /// Adds a tensor of `shape`, rows first, whose numbers are encoded as `type`. Throws FileError
  /// for a name that is empty, longer than 63 bytes or there, a shape that the numbers do not have,
  /// rows that are no whole blocks, and what encode_gguf refuses; nothing is added then.
  void add(const std::string& name, GgufType type, const Shape& shape, const float* values) {
    const std::string where = "GgufWriter: tensor " + in_quotes(name);
    if (name.empty() || name.size() > 63)
      throw FileError(message(where, ": its name has ", name.size(), " bytes, expected 1 to 63"));
    if (shape.size() > 4)
      throw FileError(message(where, ": has ", shape.size(), " dimensions, expected at most 4"));
    if (tensors_.contains(name)) throw FileError(where + ": is there already");
    Index size = 1;
    for (const Index extent : shape) size *= extent;
    const GgufTypeInfo& info = gguf_type(type);
    if ((shape.empty() ? 1 : shape.back()) % info.weights != 0)
      throw FileError(message(where, ": its rows of ", shape.empty() ? 1 : shape.back(),
                              " numbers are no whole blocks of ", info.weights, " for ",
                              info.name));
    std::vector<std::byte> bytes(static_cast<std::size_t>(size / info.weights * info.bytes));
    encode_gguf(type, values, size, bytes.data(), where);
    tensors_.insert(name);
    put_text(infos_, name);
    put_number(infos_, static_cast<std::uint32_t>(shape.size()));
    for (auto extent = shape.rbegin(); extent != shape.rend(); ++extent)
      put_number(infos_, static_cast<std::int64_t>(*extent));
    put_number(infos_, static_cast<std::uint32_t>(type));
    put_number(infos_, static_cast<std::uint64_t>(data_.size()));
    data_.insert(data_.end(), bytes.begin(), bytes.end());
    data_.resize((data_.size() + alignment - 1) / alignment * alignment);
  }

  /// Adds a matrix (rows, cols), contiguous or not. Throws as above, and for a double beyond the
  /// largest float.
  template <class T>
  void add(const std::string& name, GgufType type, ConstMatrixRef<T> matrix) {
    const Matrix<float> values = matrix.template cast<float>();
    for (Index i = 0; i < values.rows(); ++i)
      for (Index j = 0; j < values.cols(); ++j)
        if (is_finite(matrix(i, j)) && !is_finite(values(i, j)))
          throw FileError(message("GgufWriter: tensor ", in_quotes(name), ": (", i, ", ", j,
                                  ") is ", matrix(i, j), ", which does not fit a float"));
    add(name, type, {values.rows(), values.cols()}, values.data());
  }

  /// Returns the bytes of the file.
  [[nodiscard]] std::vector<std::byte> bytes() const {
    std::vector<std::byte> out;
    for (const char letter : std::string_view("GGUF"))
      out.push_back(static_cast<std::byte>(letter));
    put_number(out, std::uint32_t{3});
    put_number(out, static_cast<std::uint64_t>(tensors_.size()));
    put_number(out, static_cast<std::uint64_t>(names_.size()));
    out.insert(out.end(), keys_.begin(), keys_.end());
    out.insert(out.end(), infos_.begin(), infos_.end());
    out.resize((out.size() + alignment - 1) / alignment * alignment);
    out.insert(out.end(), data_.begin(), data_.end());
    return out;
  }

  /// Writes the file, atomically. Throws FileError.
  void write(const std::filesystem::path& path) const {
    AtomicFile file(path);
    file.write(bytes());
    file.commit();
  }

 private:
  static constexpr std::size_t alignment = 32;

  template <class N>
  static void put_number(std::vector<std::byte>& out, N number) {
    const std::size_t at = out.size();
    out.resize(at + sizeof(N));
    kernels::store(out.data() + at, number);
  }

  static void put_text(std::vector<std::byte>& out, std::string_view text) {
    put_number(out, static_cast<std::uint64_t>(text.size()));
    const auto* bytes = reinterpret_cast<const std::byte*>(text.data());
    out.insert(out.end(), bytes, bytes + text.size());
  }

  void begin_key(const std::string& key, GgufValueType type) {
    if (key.empty()) throw FileError("GgufWriter: a key is empty");
    if (!names_.insert(key).second)
      throw FileError("GgufWriter: the key " + in_quotes(key) + " is there already");
    put_text(keys_, key);
    put_number(keys_, static_cast<std::uint32_t>(type));
  }

  template <class N>
  void put(const std::string& key, GgufValueType type, N value) {
    begin_key(key, type);
    put_number(keys_, value);
  }

  void begin_list(const std::string& key, GgufValueType type, std::size_t size) {
    begin_key(key, GgufValueType::array);
    put_number(keys_, static_cast<std::uint32_t>(type));
    put_number(keys_, static_cast<std::uint64_t>(size));
  }

  std::set<std::string> names_, tensors_;
  std::vector<std::byte> keys_, infos_, data_;
};

}  // namespace lora::io

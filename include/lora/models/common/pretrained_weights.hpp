#pragma once

#include <any>
#include <charconv>
#include <concepts>
#include <cstddef>
#include <deque>
#include <filesystem>
#include <map>
#include <string>
#include <string_view>
#include <system_error>
#include <type_traits>
#include <utility>
#include <vector>

#include "lora/core/printable.hpp"
#include "lora/frozen/block_weight.hpp"
#include "lora/frozen/four_bit_weight.hpp"
#include "lora/frozen/int8_weight.hpp"
#include "lora/frozen/mapped_weight.hpp"
#include "lora/io/tensor_view.hpp"
#include "lora/layers/adapter_tensor.hpp"
#include "lora/models/common/weight_files.hpp"

namespace lora::models {

/// The weights in a model's files, safetensors or GGUF, for its layers: in place where the numbers
/// are of type T, else as copies that this object owns. What it gives lives as long as it does.
template <class T>
class PretrainedWeights {
 public:
  /// Opens the files of `directory`. Throws FileError; see io::ModelReader.
  explicit PretrainedWeights(const std::filesystem::path& directory) : files_(directory) {}

  /// Takes the tensors of a GGUF file.
  explicit PretrainedWeights(GgufWeights weights) : files_(std::move(weights)) {}

  /// Takes `from` off the names that are asked for and puts `to` in its place, as for a file that
  /// was saved without its head.
  void replace_prefix(std::string from, std::string to) {
    from_ = std::move(from);
    to_ = std::move(to);
  }

  /// Looks for a tensor whose name ends in `end` under `older` in place of that end too, as files
  /// of earlier programs call it.
  void also_known_as(std::string end, std::string older) {
    older_ends_.emplace_back(std::move(end), std::move(older));
  }

  /// Lets block `prefix` + i be block `prefix` + sources[i] of the files. Blocks of one source
  /// share the memory of what frozen() gives, until one of them is written.
  void replicate(std::string prefix, std::vector<Index> sources) {
    block_prefix_ = std::move(prefix);
    sources_ = std::move(sources);
  }

  /// Forgets what frozen() gave: who has it shares it with the others alone.
  void end_sharing() { shared_.clear(); }

  /// Returns the directory of the safetensors, or the GGUF file.
  [[nodiscard]] const std::filesystem::path& path() const { return files_.path(); }

  /// Returns how the files hold the weight of a Conv1D: (in, out) as Hugging Face's module does, or
  /// (out, in) in GGUF, for which llama.cpp's converter transposes it.
  [[nodiscard]] Layout conv1d_layout() const {
    return files_.are_gguf() ? Layout::row_major : Layout::column_major;
  }

  [[nodiscard]] bool contains(const std::string& name) const {
    return files_.contains(stored_name(name));
  }

  /// Tells whether the files have a tensor of that name and shape.
  [[nodiscard]] bool has_shape(const std::string& name, const io::Shape& shape) {
    return contains(name) && files_.shape(stored_name(name)) == shape;
  }

  /// Returns the tensor of that name as it lies in safetensors files, or null.
  [[nodiscard]] const io::TensorView* find(const std::string& name) {
    return files_.view(stored_name(name));
  }

  /// Returns the (rows, cols) tensor of that name, in place or as a copy that stays. Throws
  /// FileError for a missing tensor, another shape or dtype.
  [[nodiscard]] ConstMatrixRef<T> matrix(const std::string& name, Index rows, Index cols) {
    const std::string stored = checked(name, {rows, cols});
    if (const T* data = files_.template in_place<T>(stored)) return {data, rows, cols, cols};
    return copies_.emplace_back(files_.template read<T>(stored));
  }

  /// Returns a copy of the (rows, cols) tensor of that name, which is (cols, rows) in the files
  /// where `layout` is column_major. Throws as `matrix`.
  [[nodiscard]] Matrix<T> copy(const std::string& name, Index rows, Index cols,
                               Layout layout = Layout::row_major) {
    if (stored_layout(name, layout) == Layout::column_major)
      return files_.template read<T>(checked(name, {cols, rows})).transpose();
    return files_.template read<T>(checked(name, {rows, cols}));
  }

  /// Returns a copy of the tensor of that name and shape, which may have any number of dimensions,
  /// as a matrix (first, all others). Throws as `matrix`.
  [[nodiscard]] Matrix<T> tensor(const std::string& name, const io::Shape& shape) {
    const std::string stored = checked(name, shape);
    const MatrixShape size(shape);
    return files_.template read<T>(stored, size.rows, size.cols);
  }

  /// Returns a copy of the vector of that name. Throws as `matrix`.
  [[nodiscard]] Vector<T> vector(const std::string& name, Index size) {
    return files_.template read<T>(checked(name, {size})).row(0).transpose();
  }

  /// Returns the weight (out, in) of that name, which is (in, out) in the files where `layout` is
  /// column_major, in the storage `Frozen`:
  ///
  ///     MappedWeight          looks at the numbers, where they are of type T
  ///     BlockWeight           looks at the rows or blocks, where they lie (out, in); what lies
  ///                           (in, out) is copied in the same numbers; F64, and what bitsandbytes
  ///                           stored, become F32
  ///     FourBitWeight,
  ///     Int8Weight            take the codes where bitsandbytes stored the same format
  ///     all others            are made of a matrix, one tensor at a time
  ///
  /// Throws as `matrix`, and ConfigError, naming the tensor, for numbers that the storage does not
  /// hold.
  template <class Frozen>
  [[nodiscard]] Frozen frozen(const std::string& name, Index out, Index in,
                              Layout layout = Layout::row_major) {
    layout = stored_layout(name, layout);
    if (sources_.empty()) return make_frozen<Frozen>(name, out, in, layout);
    std::any& shared = shared_[stored_name(name)];
    if (const Frozen* const weight = std::any_cast<Frozen>(&shared);
        weight != nullptr && weight->out_features() == out && weight->in_features() == in)
      return *weight;
    auto weight = make_frozen<Frozen>(name, out, in, layout);
    shared = weight;
    return weight;
  }

  /// Gives back the pages of the files that were read; see io::ModelReader.
  void release_pages() const { files_.release_pages(); }

 private:
  template <class Frozen>
  [[nodiscard]] Frozen make_frozen(const std::string& name, Index out, Index in, Layout layout) {
    if constexpr (std::is_same_v<Frozen, MappedWeight<T>>) {
      const bool by_column = layout == Layout::column_major;
      const ConstMatrixRef<T> stored = by_column ? matrix(name, in, out) : matrix(name, out, in);
      return Frozen(stored.data(), out, in, layout);
    } else {
      const std::string stored =
          checked(name, layout == Layout::column_major ? io::Shape{in, out} : io::Shape{out, in});
      try {
        auto weight = make_stored<Frozen>(stored, out, in, layout);
        // So that a model and its file never stand in memory together.
        if (weight.bytes() > (1U << 20)) files_.release_pages();
        return weight;
      } catch (const ConfigError& error) {
        throw ConfigError(
            message(path().string(), ": tensor ", in_quotes(stored), ": ", error.what()));
      }
    }
  }

  template <class Frozen>
  static constexpr bool is_four_bit =
      std::is_same_v<Frozen, NF4Weight<T>> || std::is_same_v<Frozen, FP4Weight<T>>;

  // Modules whose files are (in, out) are turned before bitsandbytes rounds them.
  [[nodiscard]] Layout stored_layout(const std::string& name, Layout layout) {
    return layout == Layout::column_major && files_.is_coded(stored_name(name)) ? Layout::row_major
                                                                                : layout;
  }

  template <class Frozen>
  Frozen make_stored(const std::string& stored, Index out, Index in, Layout layout) {
    if constexpr (std::is_same_v<Frozen, BlockWeight<T>>) {
      return block_weight(stored, out, in, layout);
    } else {
      if constexpr (is_four_bit<Frozen>) {
        constexpr bool normal = std::is_same_v<Frozen, NF4Weight<T>>;
        using Format = std::conditional_t<normal, kernels::NF4, kernels::FP4>;
        if (auto coded = files_.four_bit(stored); coded && coded->state.normal == normal)
          return std::move(*coded).template weight<T, Format>();
      } else if constexpr (std::is_same_v<Frozen, Int8Weight<T>>) {
        if (const auto coded = files_.int8(stored)) return coded->template weight<T>();
      }
      if constexpr (std::constructible_from<Frozen, ConstMatrixRef<T>>) {
        // A copy is needed only to be stored in another form.
        if (layout == Layout::row_major)
          if (const T* data = files_.template in_place<T>(stored))
            return Frozen(ConstMatrixRef<T>(data, out, in, in));
        return Frozen(ConstMatrixRef<T>(read(stored, layout)));
      } else {
        return Frozen(read(stored, layout));
      }
    }
  }

  BlockWeight<T> block_weight(const std::string& stored, Index out, Index in, Layout layout) {
    auto rows = files_.rows(stored);
    if (rows && layout == Layout::row_major)
      return BlockWeight<T>(rows->format, rows->bytes, out, in, std::move(rows->owner),
                            rows->copied);
    using Format = kernels::BlockFormat;
    const bool halved = rows && (rows->format == Format::F16 || rows->format == Format::BF16);
    return BlockWeight<T>::encoded(halved ? rows->format : Format::F32,
                                   ConstMatrixRef<T>(read(stored, layout)));
  }

  [[nodiscard]] Matrix<T> read(const std::string& stored, Layout layout) {
    if (layout == Layout::column_major) return files_.template read<T>(stored).transpose();
    return files_.template read<T>(stored);
  }

  // Returns the name in the files of a tensor of a block that is another there.
  [[nodiscard]] std::string source_name(std::string_view name) const {
    if (sources_.empty() || !name.starts_with(block_prefix_)) return std::string(name);
    const std::string_view rest = name.substr(block_prefix_.size());
    std::size_t block = 0;
    const auto [end, error] = std::from_chars(rest.data(), rest.data() + rest.size(), block);
    if (error != std::errc() || block >= sources_.size()) return std::string(name);
    return block_prefix_ + std::to_string(sources_[block]) +
           std::string(end, rest.data() + rest.size());
  }

  [[nodiscard]] std::string stored_name(std::string_view given) const {
    const std::string name = source_name(given);
    std::string stored = with_prefix(name);
    if (files_.contains(stored)) return stored;
    for (const auto& [end, older] : older_ends_) {
      if (!name.ends_with(end)) continue;
      std::string other = with_prefix(name.substr(0, name.size() - end.size()) + older);
      if (files_.contains(other)) return other;
    }
    return stored;
  }

  [[nodiscard]] std::string with_prefix(const std::string& name) const {
    return name.starts_with(from_) ? to_ + name.substr(from_.size()) : name;
  }

  // Returns the name in the files of a tensor of this shape. Throws FileError.
  [[nodiscard]] std::string checked(const std::string& name, const io::Shape& shape) {
    std::string stored = stored_name(name);
    const io::Shape& found = files_.shape(stored);
    if (found != shape)
      throw FileError(message(path().string(), ": tensor \"", stored, "\" is of shape ",
                              io::shape_text(found), ", expected ", io::shape_text(shape),
                              " by the model's config"));
    return stored;
  }

  WeightFiles files_;
  std::string from_, to_;
  std::string block_prefix_;
  std::vector<Index> sources_;              // of each block; empty: itself
  std::map<std::string, std::any> shared_;  // weights of blocks, by the name in the files
  std::vector<std::pair<std::string, std::string>> older_ends_;
  std::deque<Matrix<T>> copies_;  // which stay where they are
};

}  // namespace lora::models

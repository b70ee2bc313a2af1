#pragma once

#include <concepts>
#include <deque>
#include <filesystem>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "lora/frozen/mapped_weight.hpp"
#include "lora/io/model_reader.hpp"

namespace lora::models {

/// The weights in a model's files, for its layers: in place where the numbers are of type T, else
/// as copies that this object owns. What it gives lives as long as it does.
template <class T>
class PretrainedWeights {
 public:
  /// Opens the files of `directory`. Throws FileError; see io::ModelReader.
  explicit PretrainedWeights(const std::filesystem::path& directory) : reader_(directory) {}

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

  [[nodiscard]] const std::filesystem::path& directory() const { return reader_.directory(); }

  [[nodiscard]] bool contains(const std::string& name) const {
    return reader_.contains(stored_name(name));
  }

  /// Returns the tensor of that name as it lies in the files, or null.
  [[nodiscard]] const io::TensorView* find(const std::string& name) {
    const std::string stored = stored_name(name);
    return reader_.contains(stored) ? &reader_.tensor(stored) : nullptr;
  }

  /// Returns the (rows, cols) tensor of that name, in place or as a copy that stays. Throws
  /// FileError for a missing tensor, another shape or dtype.
  [[nodiscard]] ConstMatrixRef<T> matrix(const std::string& name, Index rows, Index cols) {
    const io::TensorView& view = checked(name, {rows, cols});
    if (const T* data = view.template data_as<T>()) return {data, rows, cols, cols};
    return copies_.emplace_back(reader_.template read<T>(stored_name(name)));
  }

  /// Returns a copy of the (rows, cols) tensor of that name. Throws as `matrix`.
  [[nodiscard]] Matrix<T> copy(const std::string& name, Index rows, Index cols) {
    static_cast<void>(checked(name, {rows, cols}));
    return reader_.template read<T>(stored_name(name));
  }

  /// Returns a copy of the vector of that name. Throws as `matrix`.
  [[nodiscard]] Vector<T> vector(const std::string& name, Index size) {
    static_cast<void>(checked(name, {size}));
    return reader_.template read<T>(stored_name(name)).row(0).transpose();
  }

  /// Returns the weight (out, in) of that name in the storage `Frozen`, which is made of a matrix.
  /// Throws as `matrix`.
  template <class Frozen>
  [[nodiscard]] Frozen frozen(const std::string& name, Index out, Index in) {
    if constexpr (std::is_same_v<Frozen, MappedWeight<T>>) {
      return Frozen(matrix(name, out, in).data(), out, in);
    } else if constexpr (std::constructible_from<Frozen, ConstMatrixRef<T>>) {
      // A copy is needed only to be stored in another form.
      const io::TensorView& view = checked(name, {out, in});
      if (const T* data = view.template data_as<T>())
        return Frozen(ConstMatrixRef<T>(data, out, in, in));
      return Frozen(ConstMatrixRef<T>(copy(name, out, in)));
    } else {
      return Frozen(copy(name, out, in));
    }
  }

  /// Gives back the pages of the files that were read; see io::ModelReader.
  void release_pages() const { reader_.release_pages(); }

 private:
  [[nodiscard]] std::string stored_name(std::string_view name) const {
    std::string stored(name);
    if (stored.starts_with(from_)) stored = to_ + stored.substr(from_.size());
    if (reader_.contains(stored)) return stored;
    for (const auto& [end, older] : older_ends_) {
      if (!stored.ends_with(end)) continue;
      std::string other = stored.substr(0, stored.size() - end.size()) + older;
      if (reader_.contains(other)) return other;
    }
    return stored;
  }

  [[nodiscard]] const io::TensorView& checked(const std::string& name, const io::Shape& shape) {
    const std::string stored = stored_name(name);
    const io::TensorView& view = reader_.tensor(stored);
    if (view.shape != shape)
      throw FileError(message(reader_.directory().string(), ": tensor \"", stored,
                              "\" is of shape ", io::shape_text(view.shape), ", expected ",
                              io::shape_text(shape), " by config.json"));
    return view;
  }

  io::ModelReader reader_;
  std::string from_, to_;
  std::vector<std::pair<std::string, std::string>> older_ends_;
  std::deque<Matrix<T>> copies_;  // which stay where they are
};

}  // namespace lora::models

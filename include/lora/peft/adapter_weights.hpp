#pragma once

#include <algorithm>
#include <cstddef>
#include <filesystem>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "lora/core/finite.hpp"
#include "lora/core/printable.hpp"
#include "lora/io/mapped_file.hpp"
#include "lora/io/safetensors/safetensors_reader.hpp"
#include "lora/io/same_numbers.hpp"
#include "lora/layers/adapter_tensor.hpp"
#include "lora/peft/adapter_files.hpp"

namespace lora::peft {

/// A function that returns the base model's tensor of a name, or null.
using BaseTensors = std::function<const io::TensorView*(const std::string& name)>;

/// The tensors in an adapter's directory under the names that they have in the base model, and
/// which of them were read.
class AdapterWeights {
 public:
  /// Opens directory/adapter_model.safetensors. Throws FileError for whatever is wrong with it, and
  /// where two tensors are the same one with and without the adapter's name.
  explicit AdapterWeights(const std::filesystem::path& directory) : file_(weights(directory)) {
    for (const auto& [key, view] : file_.tensors()) {
      const std::string name = tensor_name(key);
      if (name.empty()) continue;
      const auto [other, is_new] = keys_.emplace(name, key);
      if (!is_new) fail(key, "is there as " + in_quotes(other->second) + " too");
    }
  }

  [[nodiscard]] const std::filesystem::path& path() const { return file_.path(); }

  [[nodiscard]] bool contains(const std::string& name) const { return keys_.contains(name); }

  /// Lists the tensors' names.
  [[nodiscard]] std::vector<std::string> names() const {
    std::vector<std::string> all;
    for (const auto& [name, key] : keys_) all.push_back(name);
    return all;
  }

  /// Returns the shape of a tensor. Throws FileError if it is missing.
  [[nodiscard]] const io::Shape& shape(const std::string& name) const {
    return file_.tensor(key_of(name)).shape;
  }

  /// Returns the tensor of that name, (first, all other) dimensions as a matrix, (1, n) for one.
  /// Throws FileError if it is missing, of another shape than `expected`, or, unless
  /// `allow_not_finite`, has a number that is infinite or NaN.
  template <class T>
  [[nodiscard]] Matrix<T> read(const std::string& name, const io::Shape& expected,
                               bool allow_not_finite) {
    const std::string& key = key_of(name);
    const io::Shape& shape = file_.tensor(key).shape;
    if (shape != expected)
      fail(key, "is of shape " + io::shape_text(shape) + ", expected " + io::shape_text(expected));
    const MatrixShape size(shape);
    Matrix<T> values = file_.read<T>(key, size.rows, size.cols);
    const auto bad = std::find_if(values.data(), values.data() + values.size(),
                                  [](T value) { return !is_finite(value); });
    if (bad != values.data() + values.size() && !allow_not_finite)
      fail(key, message("element ", bad - values.data(), " is ", *bad,
                        ", which would spoil every result: set allow_not_finite to load it"));
    used_.insert(name);
    return values;
  }

  /// Throws FileError if there is a tensor that was not read, unless it equals the base model's, as
  /// with save_embedding_layers=True, or is what PEFT stores a second time of a module that is
  /// stored whole, or counts the batches that a batch norm has seen, whose statistics were read.
  void require_all_used(const BaseTensors& base) const {
    for (const auto& [key, view] : file_.tensors()) {
      const std::string name = tensor_name(key);
      if (used_.contains(name) || is_copy_of_saved(name) || is_batch_count(name)) continue;
      const io::TensorView* original = base && !name.empty() ? base(base_name(name)) : nullptr;
      if (original != nullptr && io::same_numbers(view, *original)) continue;
      if (original != nullptr)
        fail(key,
             "is stored beside the adapter, as with save_embedding_layers, and differs from the "
             "base model's: train it with modules_to_save, or load the base that it belongs to");
      fail(key, "has no place among the layers and parameters that are loaded" +
                    std::string(name.empty() ? ", whose keys begin with base_model.model." : ""));
    }
  }

 private:
  [[noreturn]] void fail(const std::string& key, const std::string& what) const {
    throw FileError(path().string() + ": tensor " + in_quotes(key) + " " + what);
  }

  static std::filesystem::path weights(const std::filesystem::path& directory) {
    auto path = directory / adapter_weights_file;
    const auto pickle = directory / "adapter_model.bin";
    if (!io::is_there(path) && io::is_there(pickle))
      throw FileError(pickle.string() +
                      ": is a Python pickle, which can run any code and is not read: save the "
                      "adapter as safetensors");
    return path;
  }

  // Returns the name that a tensor of an adapted layer has in the base: PEFT puts the layer that it
  // adapts inside of another, and stores that of an adapted head too.
  static std::string base_name(std::string name) {
    constexpr std::string_view inside = ".base_layer.";
    if (const std::size_t at = name.rfind(inside); at != std::string::npos)
      name.erase(at, inside.size() - 1);
    return name;
  }

  [[nodiscard]] const std::string& key_of(const std::string& name) const {
    const auto found = keys_.find(name);
    if (found != keys_.end()) return found->second;
    std::string hint;
    for (const auto& [key, view] : file_.tensors())
      if (hint.empty() && !used_.contains(tensor_name(key)))
        hint = "; the file has " + in_quotes(key);
    fail(adapter_key(name), "is missing" + hint);
  }

  [[nodiscard]] bool is_batch_count(const std::string& name) const {
    constexpr std::string_view end = ".num_batches_tracked";
    return name.ends_with(end) &&
           used_.contains(name.substr(0, name.size() - end.size()) + ".running_mean");
  }

  // Of a module X of modules_to_save PEFT stores biases, with bias = "all", and embeddings and
  // head, with save_embedding_layers, three times: as X.weight or X.part.weight, as the base
  // model's, which nothing uses, and under their own names inside PEFT:
  // X.original_module.part.weight and X.modules_to_save.<adapter>.part.weight, where the adapter's
  // name is left out if no part follows.
  [[nodiscard]] bool is_copy_of_saved(const std::string& name) const {
    for (const std::string_view inside : {".original_module.", ".modules_to_save."}) {
      const std::size_t at = name.find(inside);
      if (at == std::string::npos) continue;
      const std::string block = name.substr(0, at), rest = name.substr(at + inside.size());
      // `rest` with the adapter's name before it or without.
      const std::size_t dot = rest.find('.');
      if (used_.contains(block + "." + rest)) return true;
      if (dot != std::string::npos && used_.contains(block + rest.substr(dot))) return true;
    }
    return false;
  }

  io::SafetensorsReader file_;
  std::map<std::string, std::string> keys_;  // by name
  std::set<std::string> used_;               // names
};

}  // namespace lora::peft

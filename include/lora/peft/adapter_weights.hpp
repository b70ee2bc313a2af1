#pragma once

#include <algorithm>
#include <array>
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
#include "lora/optim/adalora_config.hpp"
#include "lora/peft/adapter_files.hpp"

namespace lora::peft {

/// A function that returns the base model's tensor of a name, or null.
using BaseTensors = std::function<const io::TensorView*(const std::string& name)>;

/// The tensors in an adapter's directory under the names that they have in the base model, and
/// which of them were read. Those of AdaLoRA, A (r, in), E (r, 1) and B (out, r), stand under the
/// names of the plain adapter that adds the same: lora_A.weight is A with its rows times E, and
/// lora_B.weight is B. Where no rank is left, r = 0, they have one of zeros.
class AdapterWeights {
 public:
  /// Opens directory/adapter_model.safetensors, beside an adapter_config.json with the `adalora` of
  /// PeftConfig. Throws FileError for whatever is wrong with it, and where two tensors are the same
  /// one with and without the adapter's name.
  explicit AdapterWeights(const std::filesystem::path& directory,
                          const std::optional<AdaLoRAConfig>& adalora = {})
      : file_(weights(directory)), has_triplets_(adalora.has_value()) {
    for (const auto& [key, view] : file_.tensors()) {
      const std::string name = name_of(key);
      if (name.empty()) continue;
      if (has_triplets_ && is_ranknum(name)) {
        require_ranknum(key, adalora->init_r);
        continue;
      }
      auto& keys = has_triplets_ && name.ends_with(e_suffix) ? e_keys_ : keys_;
      const auto [other, is_new] = keys.emplace(name, key);
      if (!is_new) fail(key, "is there as " + in_quotes(other->second) + " too");
      if (has_triplets_ && is_factor(name)) shapes_.emplace(name, plain_shape(name, view.shape));
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
    const std::string& key = key_of(name);
    const auto plain = shapes_.find(name);
    return plain != shapes_.end() ? plain->second : file_.tensor(key).shape;
  }

  /// Returns the tensor of that name, (first, all other) dimensions as a matrix, (1, n) for one.
  /// Throws FileError if it is missing, of another shape than `expected`, or, unless
  /// `allow_not_finite`, has a number that is infinite or NaN. Factors of AdaLoRA, which are
  /// matrices whatever they adapt, may be expected as those of a convolution.
  template <class T>
  [[nodiscard]] Matrix<T> read(const std::string& name, const io::Shape& expected,
                               bool allow_not_finite) {
    const std::string& key = key_of(name);
    const io::Shape& stored = shape(name);
    const MatrixShape size(stored), wanted(expected);
    const bool is_folded = shapes_.contains(name) && expected.size() > 2 &&
                           size.rows == wanted.rows && size.cols == wanted.cols;
    if (stored != expected && !is_folded)
      fail(key, "is of shape " + io::shape_text(stored) + ", expected " + io::shape_text(expected));
    Matrix<T> values = has_triplets_ && is_factor(name) ? read_factor<T>(name, key, size)
                                                        : file_.read<T>(key, size.rows, size.cols);
    const auto bad = std::find_if(values.data(), values.data() + values.size(),
                                  [](T value) { return !is_finite(value); });
    if (bad != values.data() + values.size() && !allow_not_finite)
      fail(key, message("element ", bad - values.data(), " is ", *bad,
                        ", which would spoil every result: set allow_not_finite to load it"));
    used_.insert(name);
    return values;
  }

  /// Returns A (r, in), E (r, 1) and B (out, r) of a module of AdaLoRA as they stand in the file;
  /// r may be 0. Throws FileError, as read() does.
  template <class T>
  [[nodiscard]] std::array<Matrix<T>, 3> read_triplets(const std::string& module,
                                                       bool allow_not_finite) {
    for (const char* factor : {".lora_A.weight", ".lora_B.weight"})
      static_cast<void>(read<T>(module + factor, shape(module + factor), allow_not_finite));
    const auto stored = [&](const std::string& key) {
      const MatrixShape size(file_.tensor(key).shape);
      return size.rows * size.cols > 0 ? file_.read<T>(key, size.rows, size.cols)
                                       : Matrix<T>(Matrix<T>::Zero(size.rows, size.cols));
    };
    return {stored(key_of(module + ".lora_A.weight")), stored(e_keys_.at(module + ".lora_E")),
            stored(key_of(module + ".lora_B.weight"))};
  }

  /// Throws FileError if there is a tensor that was not read, unless it equals the base model's, as
  /// with save_embedding_layers=True, or is what PEFT stores a second time of a module that is
  /// stored whole, or counts the batches that a batch norm has seen, whose statistics were read.
  void require_all_used(const BaseTensors& base) const {
    for (const auto& [key, view] : file_.tensors()) {
      const std::string name = name_of(key);
      if (used_.contains(name) || (has_triplets_ && is_ranknum(name)) || is_copy_of_saved(name) ||
          is_batch_count(name))
        continue;
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

  static constexpr std::string_view e_suffix = ".lora_E";

  static bool is_factor(std::string_view name) {
    return name.ends_with(".lora_A.weight") || name.ends_with(".lora_B.weight");
  }

  // The rank at the start: a number that PEFT has in its layers, and older releases may store.
  static bool is_ranknum(std::string_view name) {
    return name.ends_with(".ranknum") || name.ends_with(".ranknum.default");
  }

  void require_ranknum(const std::string& key, Index init_r) const {
    const io::Shape& shape = file_.tensor(key).shape;
    if (shape != io::Shape{1})
      fail(key, "is of shape " + io::shape_text(shape) + ", expected (1,)");
    if (const double stored = file_.read<double>(key, 1, 1)(0, 0);
        stored != static_cast<double>(init_r))
      fail(key, message("is ", stored, ", expected init_r = ", init_r, " of adapter_config.json"));
  }

  // Returns tensor_name(key), of a factor of AdaLoRA's that of the plain adapter's.
  [[nodiscard]] std::string name_of(const std::string& key) const {
    std::string name = tensor_name(key);
    if (!has_triplets_) return name;
    if (is_factor(name))
      fail(key, "is of a plain adapter, but adapter_config.json is of AdaLoRA's");
    if (name.ends_with(".lora_A") || name.ends_with(".lora_B")) name += ".weight";
    return name;
  }

  // Returns the shape that a factor has with one rank at least.
  static io::Shape plain_shape(const std::string& name, io::Shape shape) {
    if (shape.size() != 2) return shape;
    Index& rank = shape[name.ends_with(".lora_A.weight") ? 0 : 1];
    rank = std::max<Index>(rank, 1);
    return shape;
  }

  // Returns A with its rows times E, or B.
  template <class T>
  [[nodiscard]] Matrix<T> read_factor(const std::string& name, const std::string& key,
                                      MatrixShape size) {
    constexpr std::string_view a_suffix = ".lora_A.weight";
    const io::Shape& shape = file_.tensor(key).shape;
    if (shape.size() != 2)
      fail(key, "is of shape " + io::shape_text(shape) + ", expected two dimensions");
    // A plain adapter without ranks has one of zeros, where A and B have none.
    const bool is_empty = shape[name.ends_with(a_suffix) ? 0 : 1] == 0;
    Matrix<T> factor =
        is_empty ? Matrix<T>::Zero(size.rows, size.cols) : file_.read<T>(key, size.rows, size.cols);
    if (!name.ends_with(a_suffix)) return factor;
    const std::string e_name =
        name.substr(0, name.size() - a_suffix.size()) + std::string(e_suffix);
    const auto e = e_keys_.find(e_name);
    if (e == e_keys_.end()) fail(adapter_key(e_name), "is missing");
    const io::Shape &e_shape = file_.tensor(e->second).shape, e_expected{shape[0], 1};
    if (const std::string b = key_of(e_name.substr(0, e_name.size() - 1) + "B.weight");
        file_.tensor(b).shape != io::Shape{file_.tensor(b).shape.front(), shape[0]})
      fail(b, "is of shape " + io::shape_text(file_.tensor(b).shape) +
                  message(", expected the rank of lora_A, ", shape[0]));
    if (e_shape != e_expected)
      fail(e->second,
           "is of shape " + io::shape_text(e_shape) + ", expected " + io::shape_text(e_expected));
    if (!is_empty)
      factor.array().colwise() *= file_.read<T>(e->second, size.rows, 1).col(0).array();
    used_.insert(e_name);
    return factor;
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
      if (hint.empty() && !used_.contains(name_of(key))) hint = "; the file has " + in_quotes(key);
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
  bool has_triplets_;
  std::map<std::string, std::string> keys_;    // by name
  std::map<std::string, std::string> e_keys_;  // those of lora_E
  std::map<std::string, io::Shape> shapes_;    // of factors of AdaLoRA
  std::set<std::string> used_;                 // names
};

}  // namespace lora::peft

#pragma once

#include <algorithm>
#include <cstddef>
#include <filesystem>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include "lora/io/json_text.hpp"
#include "lora/io/model_reader.hpp"
#include "lora/io/new_directory.hpp"
#include "lora/io/safetensors/safetensors_writer.hpp"
#include "lora/kernels/product.hpp"
#include "lora/layers/trainable_tokens.hpp"
#include "lora/peft/adapter_values.hpp"
#include "lora/peft/weight_layout.hpp"

namespace lora::peft {

/// The settings of merge_adapter.
struct MergeOptions {
  double weight = 1;  ///< what the update is multiplied by; -1 takes a merged one out again
  /// Called with each tensor before it is written: its name, its place, and how many there are.
  std::function<void(const std::string& name, std::size_t place, std::size_t count)> progress = {};
};

/// What became of the base model's tensors.
struct MergeReport {
  std::vector<std::string> merged;    ///< tensors that an update was added to
  std::vector<std::string> replaced;  ///< of modules stored whole, and trained biases
  std::vector<std::string> added;     ///< those that the base lacks: a new head
};

namespace detail {

/// Which of an adapter's tensors meet a base model's, by the base's names.
template <class T>
class MergePlan {
 public:
  MergePlan(io::ModelReader& base, const AdapterValues<T>& adapter) : base_(base) {
    const auto found = adapter.config.other.find("fan_in_fan_out");
    fan_in_fan_out_ = (found != adapter.config.other.end() && found->second == "true") ||
                      has_transposed_weights(base.directory());
    for (const auto& [module, factors] : adapter.modules) {
      const std::string name = base_name(module + ".weight");
      if (name.empty())
        throw FileError(message("merge_adapter: ", base.directory().string(), " has no weight of ",
                                in_quotes(module)));
      if (factors.is_embedding && has_language_head(base.directory()) && !has_head(base))
        throw FileError(message("merge_adapter: ", in_quotes(name), " is the head too, to which ",
                                in_quotes(module),
                                "'s update does not belong: store the head as "
                                "lm_head.weight first, and set tie_word_embeddings to false"));
      if (!updates.emplace(name, &factors).second)
        throw FileError(message("merge_adapter: two modules of the adapter would be added to ",
                                in_quotes(name)));
      if (!factors.b_bias) continue;
      const std::string bias = base_name(module + ".bias");
      if (bias.empty())
        throw FileError(message("merge_adapter: ", base.directory().string(), " has no bias of ",
                                in_quotes(module), " that its lora_bias could be added to"));
      bias_updates.emplace(bias, &factors);
    }
    for (const auto& [stored, tensor] : adapter.others) {
      if (stored.ends_with(trainable_tokens_suffix)) {
        add_rows(adapter.config, stored, tensor);
        continue;
      }
      if (stored.find(".lora_") != std::string::npos)
        throw FileError(message("merge_adapter: the adapter's ", in_quotes(stored),
                                " has no place in a plain model"));
      std::string name = stored;  // PEFT keeps the layer that it adapts inside of another
      constexpr std::string_view inside = ".base_layer.";
      if (const std::size_t at = name.rfind(inside); at != std::string::npos)
        name.erase(at, inside.size() - 1);
      const std::string known = base_name(name);
      (known.empty() ? added : replacements).emplace(known.empty() ? name : known, &tensor);
    }
    for (const auto& [name, tensor] : replacements) {
      if (updates.contains(name))
        throw FileError(
            message("merge_adapter: the adapter both adapts and stores whole ", in_quotes(name)));
      if (is_tied_embedding(name, adapter))
        throw FileError(message("merge_adapter: the adapter stores ", in_quotes(name),
                                " whole, which is the head too, and that did not train: store the "
                                "head as lm_head.weight first"));
    }
    add_rows_of_copied_head();
    for (const auto& [name, some] : rows)
      if (updates.contains(name) || replacements.contains(name))
        throw FileError(message("merge_adapter: the adapter has rows of ", in_quotes(name),
                                ", which it adapts or stores whole too"));
  }

  /// Throws ShapeError unless the tensors have the shapes of the base's.
  void require_shapes(io::ModelReader& base) const {
    for (const auto& [name, factors] : updates) {
      const io::TensorView& view = base.tensor(name);
      const MatrixShape size(view.shape);
      const bool turned = is_turned(*factors, size);
      const Index out = turned ? size.cols : size.rows, in = turned ? size.rows : size.cols;
      if (view.shape.size() < 2 || factors->b.value.rows() != out ||
          factors->a.value.cols() != in || factors->a.value.rows() != factors->b.value.cols())
        fail_shape(name, view.shape,
                   "the adapter's factors are A " + io::shape_text(factors->a.shape) + " and B " +
                       io::shape_text(factors->b.shape));
      if (factors->magnitude && factors->magnitude->value.size() != out)
        fail_shape(
            name, view.shape,
            "the adapter's magnitudes are of shape " + io::shape_text(factors->magnitude->shape));
      if (!io::is_floating(view.dtype))
        throw FileError(message("merge_adapter: ", in_quotes(name), " is of ",
                                io::name_of(view.dtype),
                                ": merge into a model whose weights are not quantised"));
    }
    for (const auto& [name, factors] : bias_updates)
      if (base.tensor(name).shape != factors->b_bias->shape)
        fail_shape(
            name, base.tensor(name).shape,
            "the adapter's lora_B.bias is of shape " + io::shape_text(factors->b_bias->shape));
    for (const auto& [name, tensor] : replacements)
      if (base.tensor(name).shape != tensor->shape)
        fail_shape(name, base.tensor(name).shape,
                   "the adapter stores it as " + io::shape_text(tensor->shape));
    for (const auto& [name, some] : rows) {
      const io::TensorView& view = base.tensor(name);
      const auto count = static_cast<Index>(some.tokens->size());
      if (view.shape.size() != 2 || some.values->shape != io::Shape{count, view.shape[1]})
        fail_shape(name, view.shape,
                   message("the adapter has ", count, " rows of it as ",
                           io::shape_text(some.values->shape)));
      for (const int token : *some.tokens)
        if (token < 0 || token >= view.shape[0])
          fail_shape(name, view.shape, message("the adapter has its row ", token));
      if (!io::is_floating(view.dtype))
        throw FileError(message("merge_adapter: ", in_quotes(name), " is of ",
                                io::name_of(view.dtype),
                                ": merge into a model whose weights are not quantised"));
    }
  }

  /// Returns W + weight scaling B A in the order of W's elements, with DoRA at the lengths m: each
  /// output's elements times m / their norm. Throws FileError for a length of nothing.
  [[nodiscard]] Matrix<double> merged(io::ModelReader& base, const std::string& name,
                                      double weight) const {
    const LoRAFactors<T>& factors = *updates.at(name);
    const MatrixShape size(base.tensor(name).shape);
    Matrix<double> sum = base.read<double>(name, size.rows, size.cols);
    const double factor = weight * factors.config.scaling();
    const Matrix<double> a = factors.a.value.template cast<double>();
    const Matrix<double> b = factors.b.value.template cast<double>();
    if (is_turned(factors, size))
      add_product(MatrixRef<double>(sum), factor, a.transpose(), b.transpose());
    else
      add_product(MatrixRef<double>(sum), factor, b, a);
    if (factors.magnitude) {
      const bool turned = is_turned(factors, size);
      for (Index o = 0; o < factors.magnitude->value.size(); ++o) {
        const auto m = static_cast<double>(factors.magnitude->value.data()[o]);
        const double norm = turned ? sum.col(o).norm() : sum.row(o).norm();
        if (norm == 0 && m != 0)
          throw FileError(message("merge_adapter: output ", o, " of ", in_quotes(name),
                                  " is zero, and cannot have the magnitude ", m));
        const double gain = norm == 0 ? 0 : m / norm;
        if (turned)
          sum.col(o) *= gain;
        else
          sum.row(o) *= gain;
      }
    }
    return sum;
  }

  /// Returns b + weight scaling b_B; b is the adapter's own where it trained that too.
  [[nodiscard]] Matrix<double> merged_bias(io::ModelReader& base, const std::string& name,
                                           double weight) const {
    const LoRAFactors<T>& factors = *bias_updates.at(name);
    const auto own = replacements.find(name);
    Matrix<double> sum = own != replacements.end()
                             ? Matrix<double>(own->second->value.template cast<double>())
                             : base.read<double>(name, 1, factors.b_bias->value.cols());
    return sum + weight * factors.config.scaling() * factors.b_bias->value.template cast<double>();
  }

  /// Returns a tensor's bytes with the rows that the adapter trained in their places.
  [[nodiscard]] std::vector<std::byte> with_rows(io::ModelReader& base,
                                                 const std::string& name) const {
    const Rows& some = rows.at(name);
    const io::TensorView& view = base.tensor(name);
    std::vector<std::byte> bytes(view.bytes.begin(), view.bytes.end());
    const std::vector<std::byte> trained =
        io::make_tensor(name, some.values->value, some.values->shape, view.dtype).bytes;
    const std::size_t row = trained.size() / some.tokens->size();
    for (std::size_t k = 0; k < some.tokens->size(); ++k)
      std::copy_n(trained.begin() + static_cast<std::ptrdiff_t>(k * row), row,
                  bytes.begin() + static_cast<std::ptrdiff_t>(
                                      static_cast<std::size_t>((*some.tokens)[k]) * row));
    return bytes;
  }

  /// Rows of a table, and which of its rows they are.
  struct Rows {
    const StoredTensor<T>* values;
    const std::vector<int>* tokens;
  };

  std::map<std::string, const LoRAFactors<T>*> updates;
  std::map<std::string, Rows> rows;                           // of trainable_token_indices
  std::map<std::string, const LoRAFactors<T>*> bias_updates;  // by the bias of lora_bias
  std::map<std::string, const StoredTensor<T>*> replacements;
  std::map<std::string, const StoredTensor<T>*> added;

 private:
  void add_rows(const PeftConfig& config, const std::string& stored,
                const StoredTensor<T>& tensor) {
    const std::string module = stored.substr(0, stored.size() - trainable_tokens_suffix.size());
    const auto entry = config.trainable_tokens_of(module);
    if (entry == config.trainable_token_indices.end())
      throw FileError(message("merge_adapter: the adapter has ", in_quotes(stored),
                              ", and its trainable_token_indices does not say which rows these "
                              "are"));
    std::string name = base_name(module + ".weight");
    // Of a head that is tied to the embeddings the base has no weight.
    if (name.empty())
      throw FileError(message("merge_adapter: ", base_.directory().string(), " has no weight of ",
                              in_quotes(module)));
    std::vector<int> sorted(entry->second);
    std::sort(sorted.begin(), sorted.end());
    if (const auto twice = std::adjacent_find(sorted.begin(), sorted.end()); twice != sorted.end())
      throw FileError(message("merge_adapter: the trainable_token_indices of ", in_quotes(module),
                              " have ", *twice, " twice"));
    if (rows.contains(name))
      throw FileError(
          message("merge_adapter: the adapter has rows of ", in_quotes(name), " under two names"));
    rows.emplace(std::move(name), Rows{&tensor, &entry->second});
  }

  // PEFT lets rows of embeddings act in a head that is tied to them too. Files may have that head
  // once more, which is read in the place of the embeddings.
  void add_rows_of_copied_head() {
    if (rows.empty()) return;
    for (const auto& [head, file] : base_.tensors()) {
      if (!is_head(head) || rows.contains(head)) continue;
      for (const auto& [name, some] : rows)
        if (!is_head(name) && is_tied_copy(head, name)) {
          rows.emplace(head, Rows(some));
          break;
        }
    }
  }

  // Tells whether `head` is by config.json the table called `name`; where it does not say, whether
  // it has the same numbers or the model type ties by itself.
  [[nodiscard]] bool is_tied_copy(const std::string& head, const std::string& name) {
    const io::TensorView other = base_.tensor(head), table = base_.tensor(name);
    if (other.shape != table.shape || is_of_positions(name)) return false;
    const io::Json config = config_of(base_.directory());
    if (config.contains("tie_word_embeddings") && config["tie_word_embeddings"].is_boolean())
      return config["tie_word_embeddings"].template get<bool>();
    return has_transposed_weights(base_.directory()) ||
           (other.dtype == table.dtype &&
            std::equal(other.bytes.begin(), other.bytes.end(), table.bytes.begin()));
  }

  // Tells whether the base's only head is this table of its tokens, and the adapter has no other.
  [[nodiscard]] bool is_tied_embedding(const std::string& name,
                                       const AdapterValues<T>& adapter) const {
    const bool is_table =
        std::any_of(std::begin(token_tables), std::end(token_tables),
                    [&](std::string_view table) { return name.ends_with(table); });
    return is_table && has_language_head(base_.directory()) && !has_head(base_) &&
           std::none_of(adapter.others.begin(), adapter.others.end(),
                        [](const auto& other) { return is_head(other.first); });
  }

  static constexpr std::string_view token_tables[] = {"embed_tokens.weight", "wte.weight",
                                                      "word_embeddings.weight", "embed_in.weight"};

  [[nodiscard]] static bool is_head(std::string_view name) {
    return name.ends_with("lm_head.weight") || name.ends_with("predictions.decoder.weight") ||
           name.ends_with("embed_out.weight");
  }

  [[nodiscard]] static bool is_of_positions(std::string_view name) {
    return name.find("position") != std::string_view::npos || name.ends_with("wpe.weight");
  }

  // A model without a head of its own has the embedding's.
  [[nodiscard]] static bool has_head(const io::ModelReader& base) {
    const auto& tensors = base.tensors();
    return std::any_of(tensors.begin(), tensors.end(),
                       [](const auto& tensor) { return is_head(tensor.first); });
  }

  // A model with (in, out) weights has others too, as its head: their shapes tell, but for square
  // ones.
  [[nodiscard]] bool is_turned(const LoRAFactors<T>& factors, const MatrixShape& weight) const {
    const bool fits =
        factors.b.value.rows() == weight.rows && factors.a.value.cols() == weight.cols;
    const bool is_square = weight.rows == weight.cols;
    return factors.is_embedding || (fan_in_fan_out_ && !(fits && !is_square));
  }

  [[noreturn]] static void fail_shape(const std::string& name, const io::Shape& shape,
                                      const std::string& what) {
    throw ShapeError(message("merge_adapter: ", in_quotes(name), " is of shape ",
                             io::shape_text(shape), " in the base model, and ", what));
  }

  // Files of a base model alone may lack the first part of the names, or have one more than the
  // model that was adapted: "h.0" for "transformer.h.0".
  [[nodiscard]] std::string base_name(const std::string& name) const {
    if (base_.contains(name)) return name;
    if (const std::size_t dot = name.find('.'); dot != std::string::npos)
      if (std::string shorter = name.substr(dot + 1);
          shorter.find('.') != std::string::npos && base_.contains(shorter))
        return shorter;
    std::string found;
    for (const auto& [candidate, file] : base_.tensors()) {
      const std::size_t dot = candidate.find('.');
      if (dot == std::string::npos || candidate.substr(dot + 1) != name) continue;
      if (!found.empty()) return {};
      found = candidate;
    }
    return found;
  }

  io::ModelReader& base_;
  bool fan_in_fan_out_ = false;
};

/// Copies what lies beside the weights of a model: settings, tokenizers.
inline void copy_beside_weights(const std::filesystem::path& from,
                                const std::filesystem::path& to) {
  namespace fs = std::filesystem;
  constexpr std::string_view weights[] = {".safetensors", ".bin",     ".pt",   ".pth",
                                          ".h5",          ".msgpack", ".gguf", ".onnx"};
  for (const auto& entry : fs::directory_iterator(from)) {
    const std::string name = entry.path().filename().string();
    const std::string extension = entry.path().extension().string();
    if (!entry.is_regular_file() || name.starts_with('.') || name.ends_with(".index.json") ||
        std::find(std::begin(weights), std::end(weights), extension) != std::end(weights))
      continue;
    std::error_code error;
    fs::copy_file(entry.path(), to / name, error);
    if (error)
      throw FileError(message(entry.path().string(), ": cannot copy it: ", error.message()));
  }
}

}  // namespace detail

/// Writes to the directory `out` the model in the directory `base` with an adapter merged into it:
/// W + weight * scaling * B A, with lora_bias b + weight * scaling * b_B, with DoRA its outputs at
/// their lengths, summed in double and rounded once to W's dtype. Rows of trainable_token_indices
/// take the places of the base's, in a head that is tied to the embeddings too, whether or not the
/// files have that once more. Modules that the adapter stores whole and trained biases take the
/// places of the base's; its other files (config.json, tokenizers) are copied, and its shards stay
/// the same. It goes tensor by tensor, so that memory holds no more than the largest. `out` appears
/// as a whole, or not at all.
///
/// A module's weight is found by its name, with or without one leading part ("transformer.").
/// Throws FileError where the base lacks it or is quantised, for an embedding that is the head of a
/// language model too and is adapted or stored whole, for doubled trainable_token_indices, where
/// `out` is there already and not empty, for a sum outside of the dtype's range, and for whatever
/// is wrong with the files; ShapeError for other shapes (another model, a grouped convolution);
/// ConfigError for a weight that is not finite, or not 1 where the adapter has DoRA or tensors
/// beside its factors, and for an adapter of a changed base, of replicated layers, or of aLoRA.
template <class T>
MergeReport merge_adapter(const std::filesystem::path& base, const AdapterValues<T>& adapter,
                          const std::filesystem::path& out, const MergeOptions& options = {}) {
  require_finite(options.weight, "merge_adapter", "weight");
  if (options.weight != 1) {
    if (adapter.config.use_dora)
      throw ConfigError("merge_adapter: weight is not 1, and magnitudes cannot be weighted");
    if (!adapter.others.empty())
      throw ConfigError(
          message("merge_adapter: weight is not 1, and tensors that are stored whole, "
                  "as ",
                  in_quotes(adapter.others.begin()->first), ", cannot be weighted"));
  }
  require_own_base(adapter.config, "merge_adapter");
  if (!adapter.config.alora_invocation_tokens.empty())
    throw ConfigError(
        "merge_adapter: the adapter has alora_invocation_tokens, so it acts on some tokens alone");
  if (!adapter.config.layer_replication.empty())
    throw ConfigError(
        "merge_adapter: the adapter has layer_replication, so its layers are not those of the "
        "base's "
        "files");
  io::ModelReader reader(base);
  const detail::MergePlan<T> plan(reader, adapter);
  plan.require_shapes(reader);

  MergeReport report;
  std::map<std::string, std::vector<io::TensorPlan>> shards;
  for (const auto& [name, file] : reader.tensors()) {
    const io::TensorView& view = reader.tensor(name);
    shards[file].push_back({name, view.dtype, view.shape});
  }
  const std::string last_shard = shards.rbegin()->first;
  for (const auto& [name, tensor] : plan.added) {
    shards[last_shard].push_back({name, io::dtype_of<T>, tensor->shape});
    report.added.push_back(name);
  }

  io::NewDirectory directory(out);
  std::map<std::string, std::string> index;
  std::size_t place = 0, total_bytes = 0;
  const std::size_t count = reader.tensors().size() + plan.added.size();
  for (auto& shard : shards) {
    const std::string& file_name = shard.first;
    io::AtomicFile file(directory.path() / file_name);
    io::stream_safetensors(file, shard.second, [&](const io::TensorPlan& tensor) {
      const std::string& name = tensor.name;
      if (options.progress) options.progress(name, place++, count);
      index[io::quoted(name, name)] = io::quoted(file_name, file_name);
      std::vector<std::byte> bytes;
      const auto added = plan.added.find(name), replacement = plan.replacements.find(name);
      if (added != plan.added.end()) {
        bytes = io::make_tensor(name, added->second->value, tensor.shape, tensor.dtype).bytes;
      } else if (plan.bias_updates.contains(name)) {
        const Matrix<double> sum = plan.merged_bias(reader, name, options.weight);
        bytes = io::make_tensor(name, sum, tensor.shape, tensor.dtype).bytes;
        (replacement != plan.replacements.end() ? report.replaced : report.merged).push_back(name);
      } else if (replacement != plan.replacements.end()) {
        bytes = io::make_tensor(name, replacement->second->value, tensor.shape, tensor.dtype).bytes;
        report.replaced.push_back(name);
      } else if (plan.updates.contains(name)) {
        const Matrix<double> sum = plan.merged(reader, name, options.weight);
        bytes = io::make_tensor(name, sum, tensor.shape, tensor.dtype).bytes;
        report.merged.push_back(name);
      } else if (plan.rows.contains(name)) {
        bytes = plan.with_rows(reader, name);
        report.merged.push_back(name);
      } else {
        const auto view = reader.tensor(name).bytes;
        bytes.assign(view.begin(), view.end());
      }
      total_bytes += bytes.size();
      reader.release_pages();
      return bytes;
    });
    file.commit();
  }
  if (shards.size() > 1 || last_shard != "model.safetensors") {
    const std::string size = io::json_object({{"\"total_size\"", std::to_string(total_bytes)}}, 1);
    io::write_file(
        directory.path() / "model.safetensors.index.json",
        io::json_object({{"\"metadata\"", size}, {"\"weight_map\"", io::json_object(index, 1)}}) +
            "\n");
  }
  detail::copy_beside_weights(base, directory.path());
  directory.commit();
  return report;
}

}  // namespace lora::peft

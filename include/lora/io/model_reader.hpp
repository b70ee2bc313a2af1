#pragma once

#include <cstddef>
#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "lora/core/printable.hpp"
#include "lora/io/json.hpp"
#include "lora/io/mapped_file.hpp"
#include "lora/io/safetensors/safetensors_reader.hpp"

namespace lora::io {

/// The largest model.safetensors.index.json that is read, in bytes.
inline constexpr std::size_t model_index_limit = 100'000'000;

/// Reads a model.safetensors.index.json: which file of the same directory holds each tensor. Throws
/// FileError, beginning with `where`, for what is not such an index, and for a file's name that is
/// more than a name: nothing outside of the directory is opened, but where a link that lies in it
/// leads, as in Hugging Face's cache.
[[nodiscard]] inline std::map<std::string, std::string> parse_model_index(
    std::string_view text, const std::string& where) {
  if (text.size() > model_index_limit)
    throw FileError(message(where, ": has ", text.size(), " bytes, more than an index has"));
  const Json json = parse_json(text, where);
  if (!json.is_object() || !json.contains("weight_map") || !json["weight_map"].is_object())
    throw FileError(where + ": has no object \"weight_map\"");
  std::map<std::string, std::string> shards;
  for (const auto& [tensor, file] : json["weight_map"].items()) {
    const auto* name = file.get_ptr<const std::string*>();
    if (name == nullptr)
      throw FileError(message(where, ": the file of ", in_quotes(tensor), " is ", excerpt(file),
                              ", expected a string"));
    if (name->empty() || name->front() == '.' ||
        name->find_first_of(std::string_view("/\\:\0", 4)) != std::string::npos)
      throw FileError(message(where, ": the file of ", in_quotes(tensor), " is ", excerpt(file),
                              ", expected the name of a file beside the index"));
    shards.emplace(tensor, *name);
  }
  return shards;
}

/// The tensors of a model, found in its directory: in model.safetensors, or where there is none in
/// the shards that model.safetensors.index.json lists. A shard is mapped when a tensor of it is
/// first asked for. Views live as long as this object, which may be moved.
class ModelReader {
 public:
  /// Throws FileError for a directory without either file, and for whatever is wrong in them.
  explicit ModelReader(std::filesystem::path directory) : directory_(std::move(directory)) {
    namespace fs = std::filesystem;
    const fs::path whole = directory_ / "model.safetensors";
    const fs::path index = directory_ / "model.safetensors.index.json";
    if (is_there(whole) || !is_there(index)) {
      const fs::path pickle = directory_ / "pytorch_model.bin";
      if (!is_there(whole) && is_there(pickle))
        throw FileError(pickle.string() +
                        ": is a Python pickle, which can run any code and is not read: save the "
                        "model as safetensors");
      const auto& tensors = shard("model.safetensors").tensors();
      for (const auto& [name, view] : tensors) shard_of_.emplace(name, "model.safetensors");
      return;
    }
    const MappedFile file(index);
    shard_of_ = parse_model_index(
        {reinterpret_cast<const char*>(file.bytes().data()), file.bytes().size()}, index.string());
  }

  /// Tells whether the model has a tensor of that name.
  [[nodiscard]] bool contains(const std::string& name) const { return shard_of_.contains(name); }

  /// Lists the tensors' names, each with its file.
  [[nodiscard]] const std::map<std::string, std::string>& tensors() const { return shard_of_; }

  /// Returns the tensor of that name. Throws FileError if there is none, or not in the shard that
  /// the index names, and for whatever is wrong with that shard.
  [[nodiscard]] const TensorView& tensor(const std::string& name) {
    return file_of(name).tensor(name);
  }

  /// Returns a copy converted to T; see SafetensorsReader::read.
  template <class T>
  [[nodiscard]] Matrix<T> read(const std::string& name) {
    return file_of(name).template read<T>(name);
  }

  /// Returns a copy of a tensor of any dimensions with rows x cols elements. Throws as `read`.
  template <class T>
  [[nodiscard]] Matrix<T> read(const std::string& name, Index rows, Index cols) {
    return file_of(name).template read<T>(name, rows, cols);
  }

  /// Returns the mapped file that holds the tensor of that name, for views that outlive this
  /// object. Throws as `tensor`.
  [[nodiscard]] std::shared_ptr<const SafetensorsReader> file(const std::string& name) {
    static_cast<void>(file_of(name));
    return files_.at(shard_of_.at(name));
  }

  /// Gives back the memory that holds parts of the files; they are read again when looked at.
  void release_pages() const {
    for (const auto& [name, file] : files_) file->release_pages();
  }

  [[nodiscard]] const std::filesystem::path& directory() const { return directory_; }

 private:
  [[nodiscard]] const SafetensorsReader& file_of(const std::string& name) {
    const auto found = shard_of_.find(name);
    if (found == shard_of_.end())
      throw FileError(message(directory_.string(), ": tensor ", in_quotes(name), " is missing"));
    return shard(found->second);
  }

  const SafetensorsReader& shard(const std::string& name) {
    const auto found = files_.find(name);
    if (found != files_.end()) return *found->second;
    auto file = std::make_shared<const SafetensorsReader>(directory_ / name);
    return *files_.emplace(name, std::move(file)).first->second;
  }

  std::filesystem::path directory_;
  std::map<std::string, std::string> shard_of_;
  std::map<std::string, std::shared_ptr<const SafetensorsReader>> files_;
};

}  // namespace lora::io

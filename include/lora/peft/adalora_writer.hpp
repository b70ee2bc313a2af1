#pragma once

#include <cstddef>
#include <filesystem>
#include <map>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "lora/core/place.hpp"
#include "lora/io/json_text.hpp"
#include "lora/optim/adalora.hpp"
#include "lora/peft/adapter_description.hpp"
#include "lora/peft/adapter_writer.hpp"
#include "lora/peft/peft_config_parser.hpp"
#include "lora/peft/peft_config_text.hpp"

namespace lora::peft {
namespace detail {

/// Returns the rows of `matrix` that are left.
template <class T>
[[nodiscard]] Matrix<T> rows_left(ConstMatrixRef<T> matrix, const std::vector<Index>& left) {
  Matrix<T> rows(static_cast<Index>(left.size()), matrix.cols());
  for (std::size_t i = 0; i < left.size(); ++i)
    rows.row(static_cast<Index>(i)) = matrix.row(left[i]);
  return rows;
}

/// Returns adapter_config.json of AdaLoRA: `config` is that of the layers as plain adapters, and
/// `masks` say, for each module, which triplets the file has; none where it has all. Throws
/// ConfigError for what parse_peft_config refuses, as rows of trainable_token_indices.
[[nodiscard]] inline std::string adalora_config_text(
    const PeftConfig& config, const AdaLoRAConfig& adalora,
    const std::map<std::string, std::vector<bool>>& masks) {
  std::map<std::string, std::string> keys = peft_config_keys(config), members;
  for (const auto& [module, mask] : masks) {
    std::vector<std::string> left;
    for (const bool is_left : mask) left.emplace_back(is_left ? "true" : "false");
    members[PeftConfigWriter::text(module + ".lora_E")] = io::json_array(left, 2);
  }
  keys["peft_type"] = "\"ADALORA\"";
  keys["r"] = "8";  // PEFT warns of any other, and has no use for it
  keys["lora_alpha"] = io::json_number(adalora.alpha);
  keys["rank_pattern"] = members.empty() ? "null" : io::json_object(members, 1);
  keys["alpha_pattern"] = "{}";
  keys["init_lora_weights"] = "true";
  keys["init_r"] = std::to_string(adalora.init_r);
  keys["target_r"] = std::to_string(adalora.target_r);
  keys["total_step"] = std::to_string(adalora.total_step);
  keys["tinit"] = std::to_string(adalora.tinit);
  keys["tfinal"] = std::to_string(adalora.tfinal);
  keys["deltaT"] = std::to_string(adalora.delta_t);
  keys["beta1"] = io::json_float(adalora.beta1);
  keys["beta2"] = io::json_float(adalora.beta2);
  keys["orth_reg_weight"] = io::json_float(adalora.orth_reg_weight);
  std::string text = peft_config_object(keys);
  try {
    static_cast<void>(parse_peft_config(text, "adapter_config.json"));
  } catch (const FileError& error) {
    throw ConfigError(message("save_adalora: nobody could read it again: ", error.what()));
  }
  return text;
}

}  // namespace detail

/// Saves what AdaLoRA has trained as PEFT does, with A (rank, in), E (rank, 1) and B (out, rank)
/// of each layer as they are now, in the way in which save_adapter saves layers. Triplets that have
/// no place in the budget are left out once their E is 0, and rank_pattern says which; so what is
/// read again computes what the layers do. (PEFT leaves out those that have grown again too.)
///
/// save_adapter of the layers themselves writes a plain adapter that adds the same. Throws
/// ConfigError (see describe_adapters), also for the projections of an attention, which PEFT has no
/// AdaLoRA for, and for options.config with what AdaLoRA does not have (trainable_token_indices,
/// aLoRA), and FileError.
template <class T, class Inner>
void save_adalora(const std::filesystem::path& directory, const AdaLoRA<T, Inner>& optimizer,
                  const AdapterSaveOptions<T>& options = {}) {
  std::vector<AdaptedLayerView<T>> layers;
  for (const auto& each : optimizer.triplets()) {
    const Place where{"save_adalora", each.layer.name()};
    if (wrapped_module(each.layer.name()) != each.layer.name())
      throw ConfigError(message(where, ": PEFT has no AdaLoRA for an attention's projections"));
    layers.push_back(each.layer);
  }
  const PeftConfig config = describe_adapters(std::span<const AdaptedLayerView<T>>(layers),
                                              options.parameters, options.config, options.modules);
  std::vector<io::Tensor> tensors;
  const auto add = [&](const std::string& name, const auto& value, const io::Shape& shape) {
    tensors.push_back(io::make_tensor(adapter_key(name), value, shape, options.dtype));
  };
  std::map<std::string, std::vector<bool>> masks;
  bool are_all_left = true;
  for (const auto& each : optimizer.triplets()) {
    const std::string& name = each.layer.name();
    std::vector<bool>& mask = masks[name];
    std::vector<Index> left;
    for (Index r = 0; r < each.e.value.rows(); ++r) {
      mask.push_back(each.kept[static_cast<std::size_t>(r)] || each.e.value(r, 0) != 0);
      if (mask.back()) left.push_back(r);
    }
    const auto rank = static_cast<Index>(left.size());
    are_all_left = are_all_left && rank == each.e.value.rows();
    LoRAConfig settings = each.layer.config();
    settings.train_bias = config.bias != "none";
    for (const AdapterTensor<T>& tensor : each.layer.tensors(settings)) {
      const auto& value = tensor.parameter->value;
      if (tensor.suffix == ".lora_A.weight") {
        add(name + ".lora_A", detail::rows_left<T>(each.a.value, left), {rank, value.cols()});
        add(name + ".lora_E", detail::rows_left<T>(each.e.value, left), {rank, 1});
      } else if (tensor.suffix == ".lora_B.weight") {
        const Matrix<T> columns = value.transpose();
        add(name + ".lora_B", Matrix<T>(detail::rows_left<T>(columns, left).transpose()),
            {value.rows(), rank});
      } else {
        add(name + tensor.suffix, value, tensor.shape);
      }
    }
  }
  if (are_all_left) masks.clear();
  for (const Parameter<T>* parameter : options.parameters) {
    add(parameter->name, parameter->value, parameter->shape());
    detail::add_batch_count(parameter->name, tensors);
  }
  detail::write_adapter(directory,
                        detail::adalora_config_text(config, optimizer.adalora_config(), masks),
                        std::move(tensors));
}

}  // namespace lora::peft

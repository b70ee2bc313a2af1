#pragma once

#include <map>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "lora/core/parameter_list.hpp"
#include "lora/core/printable.hpp"
#include "lora/layers/adapted_layer_ref.hpp"

namespace lora::io {

/// Returns a copy of the parameters' values by name. Throws ConfigError for two of one name.
template <class T>
[[nodiscard]] std::map<std::string, Matrix<T>> values_of(const ParameterList<T>& parameters) {
  require_distinct(parameters, "values_of");
  std::map<std::string, Matrix<T>> values;
  for (const Parameter<T>* parameter : parameters)
    values.emplace(parameter->name, parameter->value);
  return values;
}

/// Sets the parameters' values, found by name; gradients become zero. Throws ConfigError for a
/// parameter that has no value here and for a value that has no parameter, and ShapeError for a
/// value of another shape; then nothing has changed.
template <class T>
void set_values(const ParameterList<T>& parameters,
                const std::map<std::string, Matrix<T>>& values) {
  require_distinct(parameters, "set_values");
  std::set<std::string_view> known;
  for (const Parameter<T>* parameter : parameters) {
    const auto found = values.find(parameter->name);
    if (found == values.end())
      throw ConfigError("set_values: there is no " + in_quotes(parameter->name));
    require_shape(found->second, parameter->value.rows(), parameter->value.cols(), "set_values",
                  parameter->name);
    known.insert(parameter->name);
  }
  for (const auto& [name, value] : values)
    if (!known.contains(name))
      throw ConfigError("set_values: no parameter is called " + in_quotes(name));
  for (Parameter<T>* parameter : parameters) {
    parameter->value = values.at(parameter->name);
    parameter->zero_grad();
  }
}

/// Lists what trains in these layers.
template <class T>
[[nodiscard]] ParameterList<T> parameters_of(const std::vector<AdaptedLayerRef<T>>& layers) {
  ParameterList<T> all;
  for (const AdaptedLayerRef<T>& layer : layers) all.add(layer.parameters());
  return all;
}

}  // namespace lora::io

#pragma once

#include <CLI/CLI.hpp>
#include <map>
#include <string>
#include <vector>

#include "comparison_options.hpp"

namespace sentiment {

/// Names the variants of LoRA that are compared.
enum class Variant { lora, rslora, dora, pissa, olora, lora_plus, lora_fa };

/// Returns what the variants are called in options and folders.
[[nodiscard]] inline const std::map<std::string, Variant>& variant_names() {
  static const std::map<std::string, Variant> names{
      {"lora", Variant::lora},      {"rslora", Variant::rslora}, {"dora", Variant::dora},
      {"pissa", Variant::pissa},    {"olora", Variant::olora},   {"lora-plus", Variant::lora_plus},
      {"lora-fa", Variant::lora_fa}};
  return names;
}

/// What the comparison of variants is asked for.
struct VariantOptions : ComparisonOptions {
  std::vector<Variant> variants{Variant::lora,  Variant::rslora,    Variant::dora,   Variant::pissa,
                                Variant::olora, Variant::lora_plus, Variant::lora_fa};
  /// Of each variant, as many of each. The one that is best on validation texts under the first
  /// seed is taken for all seeds.
  std::map<Variant, std::vector<double>> learning_rates{
      {Variant::lora, {1e-3, 3e-3, 1e-2}},   {Variant::rslora, {1e-3, 3e-3, 1e-2}},
      {Variant::dora, {1e-3, 3e-3, 1e-2}},   {Variant::pissa, {3e-4, 1e-3, 3e-3}},
      {Variant::olora, {3e-4, 1e-3, 3e-3}},  {Variant::lora_plus, {3e-4, 1e-3, 3e-3}},
      {Variant::lora_fa, {3e-3, 1e-2, 3e-2}}};
};

/// Adds every option to `app`, as add_comparison_options does. --rank and --alpha are LoRA's; the
/// others follow from them.
inline void add_variant_options(CLI::App& app, VariantOptions& options, bert::Options& base) {
  app.remove_option(app.get_option_no_throw("--dora"));
  add_comparison_options(app, options, base);
  app.add_option("--variants", options.variants,
                 "what is compared: of lora,rslora,dora,pissa,olora,lora-plus,lora-fa [all]")
      ->delimiter(',')
      ->transform(CLI::CheckedTransformer(variant_names()).description(""))
      ->type_name("NAME");
  for (const auto& [name, variant] : variant_names())
    add_learning_rates(app, name, options.learning_rates[variant]);
}

}  // namespace sentiment

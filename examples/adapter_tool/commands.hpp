#pragma once

#include <filesystem>
#include <lora/io/model_reader.hpp>
#include <lora/peft/combine_adapters.hpp>
#include <lora/peft/extract_adapter.hpp>
#include <lora/peft/merge_adapter.hpp>
#include <lora/peft/resize_adapter.hpp>
#include <lora/peft/values_writer.hpp>
#include <ostream>
#include <string>
#include <vector>

#include "../support/table.hpp"
#include "convert.hpp"
#include "file_type.hpp"
#include "inspect.hpp"
#include "options.hpp"

namespace adaptertool {

namespace detail {

// A line that is written over itself, for a terminal or a log that nobody minds.
[[nodiscard]] inline auto progress_on(std::ostream& out) {
  return [&out](const std::string& name, std::size_t place, std::size_t count) {
    std::string line = lora::message(place + 1, " of ", count, "  ", lora::printable(name));
    line.resize(79, ' ');
    out << '\r' << line << (place + 1 == count ? "\n" : "") << std::flush;
  };
}

template <class Reports>
void print_errors(const Reports& reports, std::ostream& out) {
  examples::Table table({"module", "rank", "norm", "error"});
  for (const auto& [name, report] : reports)
    table.add({lora::printable(name), std::to_string(report.rank), lora::message(report.norm),
               examples::fixed(100 * report.relative_error(), 2) + "%"});
  table.print(out);
}

}  // namespace detail

/// Prints what an adapter is. Returns true.
inline bool run_inspect(const Options& options, std::ostream& out) {
  const std::filesystem::path adapter = options.adapters.at(0);
  print(lora::io::is_gguf(adapter) ? inspect(read_gguf_values(adapter)) : inspect(adapter),
        options.all, out);
  return true;
}

/// Looks for what would spoil an adapter's use and, where a base model is named, whether it fits
/// that. Returns whether all is well; throws what read_adapter throws.
inline bool run_verify(const Options& options, std::ostream& out) {
  const Inspection found = inspect(options.adapters.at(0));
  bool good = !found.modules.empty() && found.is_finite;
  for (const std::string& what : found.odd) out << "odd: " << lora::printable(what) << '\n';
  if (!options.base.empty()) {
    lora::io::ModelReader base(options.base);
    const lora::peft::detail::MergePlan<float> plan(base, found.adapter);
    plan.require_shapes(base);
    for (const auto& [name, tensor] : plan.added)
      out << "the base model has no " << lora::printable(name) << '\n';
  }
  out << (good ? "good: " : "bad: ") << found.modules.size() << " modules"
      << (options.base.empty() ? "" : ", which the base model has") << '\n';
  return good;
}

/// Combines adapters into one. Returns true.
inline bool run_combine(const Options& options, std::ostream& out) {
  if (!options.weights.empty() && options.weights.size() != options.adapters.size())
    throw lora::ConfigError(lora::message("--weights has ", options.weights.size(),
                                          " numbers, expected one for each of ",
                                          options.adapters.size(), " adapters"));
  const lora::CombineOptions combination = options.combination();
  validate(combination, "combine");
  std::vector<lora::peft::AdapterValues<float>> values;
  for (const std::string& directory : options.adapters)
    values.push_back(lora::peft::read_adapter<float>(directory));
  std::vector<lora::peft::WeightedAdapter<float>> weighted;
  for (std::size_t i = 0; i < values.size(); ++i)
    weighted.push_back(
        {&values[i], options.weights.empty() ? 1 : options.weights[i], options.adapters[i]});
  const auto combined = lora::peft::combine_adapters<float>(std::move(weighted), combination);
  lora::peft::save_adapter(options.out, combined, detail::dtype_of(options));
  out << options.out << ": " << combined.modules.size() << " modules of rank " << combined.config.r
      << (combined.config.rank_pattern.empty() ? "\n" : " and others\n");
  return true;
}

/// Changes an adapter's rank. Returns true.
inline bool run_resize(const Options& options, std::ostream& out) {
  validate(options.choice(), "resize");
  const auto resized = lora::peft::resize_adapter(
      lora::peft::read_adapter<float>(options.adapters.at(0)), options.choice());
  lora::peft::save_adapter(options.out, resized.adapter, detail::dtype_of(options));
  detail::print_errors(resized.modules, out);
  return true;
}

/// Makes an adapter of what two models differ in. Returns true.
inline bool run_extract(const Options& options, std::ostream& out, std::ostream& progress) {
  lora::io::ModelReader base(options.base), tuned(options.tuned);
  const auto extracted =
      lora::peft::extract_adapter<float>(base, tuned,
                                         {.choice = options.choice(),
                                          .embeddings = options.embeddings,
                                          .prefix = options.prefix,
                                          .svd = {.exact = options.exact},
                                          .progress = detail::progress_on(progress)});
  lora::peft::save_adapter(options.out, extracted.adapter, detail::dtype_of(options));
  detail::print_errors(extracted.modules, out);
  for (const auto& [name, reason] : extracted.left_out)
    out << "left out: " << lora::printable(name) << ", " << reason << '\n';
  return true;
}

/// Writes a base model with an adapter merged into it. Returns true.
inline bool run_merge(const Options& options, std::ostream& out, std::ostream& progress) {
  const auto adapter = lora::peft::read_adapter<float>(options.adapters.at(0));
  const auto report = lora::peft::merge_adapter(
      options.base, adapter, options.out,
      {.weight = options.weight, .progress = detail::progress_on(progress)});
  out << options.out << ": " << report.merged.size() << " weights merged, "
      << report.replaced.size() << " tensors replaced\n";
  for (const std::string& name : report.added)
    out << "added, because the base model lacks it: " << lora::printable(name)
        << "; config.json is the base's and may have to name the head\n";
  return true;
}

}  // namespace adaptertool

#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <filesystem>
#include <lora/adapters/low_rank_svd.hpp>
#include <lora/adapters/resize_factors.hpp>
#include <lora/peft/adapter_values.hpp>
#include <lora/peft/module_rules.hpp>
#include <map>
#include <ostream>
#include <string>
#include <utility>
#include <vector>

#include "../support/table.hpp"

namespace adaptertool {

using lora::Index;

/// What there is to say about one module's update.
struct ModuleReport {
  Index rank = 0;
  double scaling = 0;
  Index parameters = 0;
  bool is_finite = true;
  double norm = 0;     ///< Frobenius norm of scaling * B A
  double largest = 0;  ///< its largest singular value
  Index used = 0;      ///< singular values with 99% of its energy
};

/// An adapter's modules, and what is odd about it.
struct Inspection {
  lora::peft::AdapterValues<float> adapter;
  std::map<std::string, ModuleReport> modules;
  std::vector<std::string> odd;
  bool is_finite = true;  ///< whether all numbers of all tensors are
};

namespace detail {

[[nodiscard]] inline ModuleReport report_of(const lora::peft::LoRAFactors<float>& factors) {
  const auto &a = factors.a.value, &b = factors.b.value;
  ModuleReport report{factors.config.rank, factors.config.scaling(), a.size() + b.size()};
  report.is_finite = lora::all_finite<float>(a) && lora::all_finite<float>(b);
  for (const auto* row : {&factors.magnitude, &factors.b_bias}) {
    if (!row->has_value()) continue;
    report.parameters += (*row)->value.size();
    report.is_finite = report.is_finite && lora::all_finite<float>((*row)->value);
  }
  if (!report.is_finite || a.rows() != b.cols()) return report;
  const lora::LowRankSvd svd = lora::low_rank_svd<float>(b, a);
  const double scale = std::abs(report.scaling);
  report.norm = scale * svd.s.norm();
  report.largest = svd.s.size() > 0 ? scale * svd.s[0] : 0;
  report.used = report.norm > 0 ? lora::chosen_rank({.energy = 0.99}, svd.s) : 0;
  return report;
}

[[nodiscard]] inline double median(std::vector<double> values) {
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  return *middle;
}

}  // namespace detail

/// Examines an adapter. Numbers that are not finite are noted as odd, not an error.
[[nodiscard]] inline Inspection inspect(lora::peft::AdapterValues<float> adapter) {
  Inspection found{std::move(adapter), {}, {}};
  std::vector<double> norms;
  for (const auto& [name, factors] : found.adapter.modules) {
    const ModuleReport report = found.modules[name] = detail::report_of(factors);
    const Index most = std::min(factors.a.value.cols(), factors.b.value.rows());
    if (!report.is_finite) {
      found.odd.push_back(name + " has numbers that are not finite");
    } else if (report.scaling == 0) {
      found.odd.push_back(name + " is scaled by 0");
    } else if (report.norm == 0 && factors.magnitude) {
      found.odd.push_back(name + " has an update of zero: it changes magnitudes alone");
    } else if (report.norm == 0 && factors.b_bias && !factors.b_bias->value.isZero(0)) {
      found.odd.push_back(name + " has a B A of zero: it changes the bias alone");
    } else if (report.norm == 0) {
      found.odd.push_back(name + " changes nothing: its B A " +
                          (factors.b_bias ? "and the bias of its B are" : "is") +
                          " zero, as before training");
    } else {
      norms.push_back(report.norm);
    }
    if (report.rank > most)
      found.odd.push_back(lora::message(name, " has rank ", report.rank,
                                        ", more than its weight can have: ", most));
  }
  for (const auto& [name, report] : found.modules)
    found.is_finite = found.is_finite && report.is_finite;
  for (const auto& [name, tensor] : found.adapter.others)
    if (!lora::all_finite<float>(tensor.value)) {
      found.is_finite = false;
      found.odd.push_back(name + " has numbers that are not finite");
    }
  if (found.modules.empty()) found.odd.push_back("it adapts no module");
  if (norms.empty()) return found;
  const double usual = detail::median(norms);
  for (const auto& [name, report] : found.modules)
    if (report.norm > 20 * usual)
      found.odd.push_back(lora::message(name, " changes its weight ", report.norm / usual,
                                        " times as much as most modules"));
  return found;
}

/// Reads an adapter in PEFT's layout and examines it. Throws FileError for what cannot be read.
[[nodiscard]] inline Inspection inspect(const std::filesystem::path& directory) {
  return inspect(lora::peft::read_adapter<float>(directory, {.allow_not_finite = true}));
}

/// Prints the settings, a line for each kind of module or, with `all`, each module, and what is
/// odd.
inline void print(const Inspection& found, bool all, std::ostream& out) {
  const lora::peft::PeftConfig& config = found.adapter.config;
  Index parameters = 0;
  for (const auto& [name, report] : found.modules) parameters += report.parameters;
  out << "base model   "
      << (config.base_model_name_or_path.empty() ? std::string("(not named)")
                                                 : lora::printable(config.base_model_name_or_path))
      << "\ntask         "
      << (config.task_type.empty() ? "(none)" : lora::printable(config.task_type))
      << "\nrank, alpha  " << config.r << ", " << config.lora_alpha
      << (config.use_rslora ? " with use_rslora" : "") << "\nmodules      " << found.modules.size()
      << " with " << parameters << " parameters";
  if (!found.adapter.others.empty())
    out << ", and " << found.adapter.others.size() << " tensors stored whole";
  out << "\n\n";

  // The modules, or the kinds that the last parts of their names tell apart.
  std::map<std::string, std::vector<ModuleReport>> rows;
  for (const auto& [name, report] : found.modules)
    rows[all ? name : name.substr(name.rfind('.') + 1)].push_back(report);
  std::vector<std::string> head{"module",    "rank",      "scale",     "parameters",
                                "mean norm", "largest s", "s with 99%"};
  if (!all) head.insert(head.begin() + 1, "count");
  examples::Table table(head);
  for (const auto& row_of : rows) {
    const std::string& name = row_of.first;
    const std::vector<ModuleReport>& reports = row_of.second;
    const auto range = [&](const auto& of, const auto& text) {
      const auto [low, high] =
          std::minmax_element(reports.begin(), reports.end(),
                              [&](const auto& x, const auto& y) { return of(x) < of(y); });
      const std::string least = text(of(*low)), most = text(of(*high));
      return least == most ? least : least + " - " + most;
    };
    const auto integer = [](Index value) { return std::to_string(value); };
    const auto number = [](double value) { return lora::message(value); };
    double norms = 0, largest = 0;
    Index size = 0;
    for (const ModuleReport& report : reports) {
      norms += report.norm;
      largest = std::max(largest, report.largest);
      size += report.parameters;
    }
    std::vector<std::string> row{
        lora::printable(name),
        range([](const ModuleReport& report) { return report.rank; }, integer),
        range([](const ModuleReport& report) { return report.scaling; }, number),
        integer(size),
        number(norms / static_cast<double>(reports.size())),
        number(largest),
        range([](const ModuleReport& report) { return report.used; }, integer)};
    if (!all) row.insert(row.begin() + 1, std::to_string(reports.size()));
    table.add(row);
  }
  table.print(out);
  for (const auto& [name, tensor] : found.adapter.others)
    out << "stored whole: " << lora::printable(name) << ' ' << lora::io::shape_text(tensor.shape)
        << '\n';
  for (const std::string& what : found.odd) out << "odd: " << lora::printable(what) << '\n';
}

}  // namespace adaptertool

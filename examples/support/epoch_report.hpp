#pragma once

#include <cstddef>
#include <cstdint>
#include <lora/train/history.hpp>
#include <memory>
#include <ostream>
#include <string>
#include <utility>

#include "progress_bar.hpp"
#include "table.hpp"

namespace examples {

/// Draws a bar for each epoch of a training, and leaves a line of its loss, speed and score, which
/// is a percentage unless `unit` says otherwise.
class EpochReport {
 public:
  EpochReport(std::ostream& out, bool terminal, std::string score_name, int patience,
              std::string unit = " %")
      : out_(out),
        terminal_(terminal),
        score_name_(std::move(score_name)),
        patience_(patience),
        unit_(std::move(unit)) {}

  void begin(int epoch, std::size_t steps) {
    bar_ = std::make_unique<ProgressBar>(out_, terminal_, "epoch " + std::to_string(epoch),
                                         static_cast<int>(steps));
    so_far_ = {};
    loss_ = 0;
  }

  void add(const lora::train::StepResult& step) {
    so_far_.steps.push_back(step);
    loss_ += step.loss;
    bar_->advance(so_far());
  }

  void finish(const lora::train::EpochResult& epoch) {
    std::string text = so_far();
    if (epoch.score) text += ", " + score_name_ + " " + fixed(*epoch.score, 2) + unit_;
    if (epoch.best)
      text += ", saved";
    else if (epoch.stops)
      text += ", no better for " + std::to_string(patience_) + " epochs: the end";
    bar_->finish(text);
  }

 private:
  [[nodiscard]] std::string so_far() const {
    const auto steps = static_cast<double>(std::max<std::size_t>(1, so_far_.steps.size()));
    return "loss " + fixed(loss_ / steps, 4) + ", " +
           grouped(static_cast<std::uint64_t>(so_far_.tokens_per_second())) + " tokens/s";
  }

  std::ostream& out_;
  bool terminal_;
  std::string score_name_;
  int patience_;
  std::string unit_;
  std::unique_ptr<ProgressBar> bar_;
  lora::train::History so_far_;  // of this epoch
  double loss_ = 0;
};

}  // namespace examples

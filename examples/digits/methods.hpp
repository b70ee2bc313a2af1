#pragma once

#include <cstdint>
#include <string>

#include "base.hpp"
#include "options.hpp"

namespace digits {

/// Names one way of adapting the base to the new task.
struct Method {
  std::string name;      ///< for the table
  std::string folder;    ///< that its result is saved in
  double learning_rate;  ///< of its training
};

/// Calls visit(method, network) for full fine-tuning, a new head alone, and LoRA at every rank,
/// with a network that is ready to be trained. All of them start from the base and the same new
/// head.
template <class Visit>
void for_each_method(const Base<float>& base, Index classes, const Options& options,
                     std::uint64_t seed, const Visit& visit) {
  const lora::Linear<float> head = new_head(base, classes, seed);
  auto full = full_network(base, head);
  visit(Method{"full fine-tuning", "full", options.full_learning_rate}, full);
  auto head_alone = head_network(base, head);
  visit(Method{"new head alone", "head", options.head_learning_rate}, head_alone);
  for (const Index rank : options.ranks) {
    auto adapted = lora_network(base, head, options.lora_config(rank), seed);
    const std::string number = std::to_string(rank);
    visit(Method{"LoRA, rank " + number, "lora-r" + number, options.learning_rate}, adapted);
  }
}

}  // namespace digits

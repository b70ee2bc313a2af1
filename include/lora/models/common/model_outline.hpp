#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "lora/peft/module_selection.hpp"

namespace lora::models {

/// The modules of a model by their names, as far as whoever plans its training has to know them.
/// Each family writes one.
struct ModelOutline {
  std::string model_type = {};                 ///< of config.json: chooses PEFT's default targets
  std::vector<peft::ModuleName> modules = {};  ///< in the order of PyTorch's named_modules(),
                                               ///< blocks included
  std::vector<std::string> blocks = {};        ///< the blocks that repeat, the input's first:
                                               ///< "bert.encoder.layer.0"
  std::vector<std::string> block_norms = {};   ///< norms in each block that train beside
                                               ///< bottlenecks: "output.LayerNorm"
  std::string top = {};               ///< what stands between blocks and head: "bert.pooler"
  std::string head = {};              ///< the new head of a task: "classifier"
  std::string input_embedding = {};   ///< what a list of trainable_token_indices means: "wte"
  std::string output_embedding = {};  ///< of a language model: "lm_head", never all-linear's
  bool invokes_adapters = false;      ///< whether alora_invocation_tokens are built for the model
  bool replicates_layers = false;     ///< whether layer_replication is built for the model
};

/// Tells whether the module called `name` is `block` or inside of it.
[[nodiscard]] inline bool is_inside(std::string_view name, std::string_view block) {
  return name == block ||
         (name.size() > block.size() && name.starts_with(block) && name[block.size()] == '.');
}

}  // namespace lora::models

#pragma once

// Everything that needs Eigen alone, in the order in which the folders build on each other.

#include "lora/core/config.hpp"
#include "lora/core/dropout_mask.hpp"
#include "lora/core/error.hpp"
#include "lora/core/matrix.hpp"
#include "lora/core/parallel.hpp"
#include "lora/core/parameter.hpp"
#include "lora/core/parameter_list.hpp"
#include "lora/core/philox.hpp"
#include "lora/core/philox_group.hpp"
#include "lora/core/random.hpp"
#include "lora/core/scratch.hpp"
#include "lora/core/shuffle.hpp"
#include "lora/core/tape.hpp"

#include "lora/kernels/dot_tile.hpp"
#include "lora/kernels/pack.hpp"
#include "lora/kernels/packed_left.hpp"
#include "lora/kernels/panel_product.hpp"
#include "lora/kernels/panels.hpp"
#include "lora/kernels/product.hpp"
#include "lora/kernels/row_product.hpp"
#include "lora/kernels/simd.hpp"
#include "lora/kernels/tile.hpp"

#include "lora/frozen/dense_weight.hpp"
#include "lora/frozen/frozen_weight.hpp"
#include "lora/frozen/mapped_weight.hpp"
#include "lora/frozen/packed_panels.hpp"
#include "lora/frozen/packed_weight.hpp"

#include "lora/nn/cross_entropy.hpp"
#include "lora/nn/relu.hpp"

#include "lora/init/gaussian.hpp"
#include "lora/init/kaiming_uniform.hpp"

#include "lora/layers/adapter_slot.hpp"
#include "lora/layers/frozen_passes.hpp"
#include "lora/layers/linear.hpp"
#include "lora/layers/lora_adapter.hpp"
#include "lora/layers/lora_linear.hpp"
#include "lora/layers/lora_merged_linear.hpp"
#include "lora/layers/low_rank_path.hpp"

#include "lora/optim/adamw.hpp"
#include "lora/optim/clip.hpp"
#include "lora/optim/optimizer_state.hpp"
#include "lora/optim/parameter_group.hpp"
#include "lora/optim/schedule.hpp"
#include "lora/optim/sgd.hpp"

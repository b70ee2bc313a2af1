#pragma once

// What lora::compiled holds of the page lora.hpp: the templates for float over the storages of
// frozen weights. A program that links it neither instantiates nor optimises them again. The
// library's own source asks for the definitions by the macro.

#include "lora/compiled/kernels.hpp"
#include "lora/core/gradients.hpp"
#include "lora/core/tape.hpp"
#include "lora/frozen/dense_weight.hpp"
#include "lora/frozen/mapped_weight.hpp"
#include "lora/frozen/packed_weight.hpp"
#include "lora/layers/lora_linear.hpp"
#include "lora/layers/lora_linear_group.hpp"
#include "lora/nn/attention.hpp"
#include "lora/nn/cross_entropy.hpp"
#include "lora/nn/dropout.hpp"
#include "lora/nn/linear.hpp"
#include "lora/optim/adamw.hpp"
#include "lora/optim/sgd.hpp"

namespace lora {

LORA_COMPILED_INSTANCE class FixedMatrix<float>;
LORA_COMPILED_INSTANCE class Parameter<float>;
LORA_COMPILED_INSTANCE class ParameterList<float>;
LORA_COMPILED_INSTANCE class Gradients<float>;
LORA_COMPILED_INSTANCE class Tape<float>;
LORA_COMPILED_INSTANCE class DenseWeight<float>;
LORA_COMPILED_INSTANCE class MappedWeight<float>;
LORA_COMPILED_INSTANCE class PackedWeight<float>;
LORA_COMPILED_INSTANCE class LoRAAdapter<float>;
LORA_COMPILED_INSTANCE class AdapterSet<LoRAAdapter<float>>;
LORA_COMPILED_INSTANCE class AdapterOwner<LoRALinear<float, DenseWeight<float>>,
                                          LoRAAdapter<float>>;
LORA_COMPILED_INSTANCE class LoRAOverWeight<LoRALinear<float, DenseWeight<float>>, float,
                                            DenseWeight<float>>;
LORA_COMPILED_INSTANCE class AdapterOwner<LoRALinear<float, MappedWeight<float>>,
                                          LoRAAdapter<float>>;
LORA_COMPILED_INSTANCE class LoRAOverWeight<LoRALinear<float, MappedWeight<float>>, float,
                                            MappedWeight<float>>;
LORA_COMPILED_INSTANCE class AdapterOwner<LoRALinear<float, PackedWeight<float>>,
                                          LoRAAdapter<float>>;
LORA_COMPILED_INSTANCE class LoRAOverWeight<LoRALinear<float, PackedWeight<float>>, float,
                                            PackedWeight<float>>;
LORA_COMPILED_INSTANCE class LoRALinear<float, DenseWeight<float>>;
LORA_COMPILED_INSTANCE class LoRALinear<float, MappedWeight<float>>;
LORA_COMPILED_INSTANCE class LoRALinear<float, PackedWeight<float>>;
LORA_COMPILED_INSTANCE class LoRALinearGroup<float, DenseWeight<float>>;
LORA_COMPILED_INSTANCE class LoRALinearGroup<float, MappedWeight<float>>;
LORA_COMPILED_INSTANCE class LoRALinearGroup<float, PackedWeight<float>>;
LORA_COMPILED_INSTANCE class Linear<float>;
LORA_COMPILED_INSTANCE class Attention<float>;
LORA_COMPILED_INSTANCE class Dropout<float>;
LORA_COMPILED_INSTANCE class AdamW<float>;
LORA_COMPILED_INSTANCE class SGD<float>;
LORA_COMPILED_INSTANCE float cross_entropy<float>(ConstMatrixRef<float>, std::span<const int>,
                                                  const CrossEntropyOptions<float>&, Output<float>);

}  // namespace lora

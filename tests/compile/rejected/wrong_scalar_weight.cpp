// rejected with: FrozenWeight
#include <lora/frozen/mapped_weight.hpp>
#include <lora/layers/lora_linear.hpp>

#ifdef LORA_ACCEPTED
using Layer = lora::LoRALinear<float, lora::MappedWeight<float>>;
#else
using Layer = lora::LoRALinear<float, lora::MappedWeight<double>>;
#endif

lora::Index rank_of(const Layer& layer) { return layer.rank(); }

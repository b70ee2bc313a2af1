// rejected with: AdaptedLayer
#include <lora/layers/adapted_layer_ref.hpp>
#include <lora/layers/lora_linear.hpp>
#include <lora/nn/linear.hpp>

#ifdef LORA_ACCEPTED
using Layer = lora::LoRALinear<float>;
#else
using Layer = lora::Linear<float>;  // trained as a whole: has no adapter
#endif

lora::AdaptedLayerRef<float> reference_to(Layer& layer) { return layer; }

// rejected with: AdaptedLayer
#include <lora/lora.hpp>

#ifdef LORA_ACCEPTED
using Layer = lora::LoRALinear<float>;
#else
using Layer = lora::Linear<float>;  // trained as a whole: has no adapter
#endif

lora::AdaptedLayerRef<float> reference_to(Layer& layer) { return layer; }

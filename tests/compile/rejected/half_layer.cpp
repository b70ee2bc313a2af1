// rejected with: what trains is float or double: half precision is a matter of the frozen weight
#include <lora/layers/lora_linear.hpp>

#ifdef LORA_ACCEPTED
using Scalar = float;
#else
using Scalar = Eigen::half;
#endif

lora::Index rank_of(const lora::LoRALinear<Scalar>& layer) { return layer.rank(); }

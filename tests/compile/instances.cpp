// Instantiates every class template for the scalars that they promise to work with.
#include <lora/lora.hpp>
#ifdef LORA_TEST_IO
#include <lora/io.hpp>
#endif

namespace lora {

template class ConstMatrixRef<float>;
template class MatrixRef<float>;
template class Tape<float>;
template struct Parameter<float>;
template class DenseWeight<float>;
template class DenseWeight<double>;
template class MappedWeight<float>;
template class MappedWeight<double>;
template class Attention<float>;
template class Attention<double>;
template class Dropout<float>;
template class Dropout<double>;
template class LayerNorm<float>;
template class LayerNorm<double>;
template class LoRAAdapter<float>;
template class LoRALinear<float>;
template class LoRALinear<double>;
template class LoRALinear<float, MappedWeight<float>>;
template class LoRALinear<double, MappedWeight<double>>;
template class AdapterSlot<float>;
template class Linear<float>;
template class Linear<double>;
template class SGD<float>;
template class SGD<double>;
template class AdamW<float>;
template class AdamW<double>;

// Any Eigen scalar that compiles: extended precision, and half precision for inference.
template class LoRALinear<long double>;
template class Attention<long double>;
template class LayerNorm<long double>;
template class LoRALinear<Eigen::half>;
template class LoRALinear<Eigen::bfloat16>;

}  // namespace lora

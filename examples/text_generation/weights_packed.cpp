// --weights packed: float32, in the order in which products read it.

#include "run.hpp"

template void textgen::run<lora::PackedWeight<float>>(const Request&);

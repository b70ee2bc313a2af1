// --weights bf16: bfloat16, in the order in which products read it.

#include "run.hpp"

template void textgen::run<lora::HalfWeight<float>>(const Request&);

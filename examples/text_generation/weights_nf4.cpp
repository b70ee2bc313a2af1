// --weights nf4: four bits and a scale for each 64 weights, as QLoRA has them.

#include "run.hpp"

template void textgen::run<lora::NF4Weight<float>>(const Request&);

// --weights int8: eight bits and a scale for each row, as LLM.int8 has them.

#include "run.hpp"

template void textgen::run<lora::Int8Weight<float>>(const Request&);

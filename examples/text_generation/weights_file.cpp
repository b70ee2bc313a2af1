// --weights file: whatever the file has, where it lies.

#include "run.hpp"

template void textgen::run<lora::BlockWeight<float>>(const Request&);

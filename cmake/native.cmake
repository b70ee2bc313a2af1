# Sets lora_native_options: this machine's best flags for the compiler at hand. A part of the build and
# of the installed package, since the machine and the compiler are those of whoever compiles.
#
# GCC's -march=native also tunes for the processor at hand, and its tuning for recent AMD and Intel
# processors splits or reorders the vector loads of matrix kernels: measured on a Zen 3 and on a
# Sapphire Rapids, the same product is 1.35 times as fast when GCC tunes for Haswell instead.
# clang's own tuning has no such fault, and MSVC has no "native". Nor has a machine that is not here.
set(lora_native_options "")
string(TOLOWER "${CMAKE_SYSTEM_PROCESSOR}" lora_processor)
if(CMAKE_CROSSCOMPILING)
elseif(CMAKE_CXX_COMPILER_ID STREQUAL "GNU" AND lora_processor MATCHES "^(x86_64|amd64)$")
  set(lora_native_options -march=native -mtune=haswell)
elseif(CMAKE_CXX_COMPILER_ID MATCHES "GNU|Clang")
  include(CheckCXXCompilerFlag)
  # Some targets know -mcpu=native only.
  check_cxx_compiler_flag(-march=native LORA_HAS_MARCH_NATIVE)
  if(LORA_HAS_MARCH_NATIVE)
    set(lora_native_options -march=native)
  else()
    set(lora_native_options -mcpu=native)
  endif()
endif()
unset(lora_processor)

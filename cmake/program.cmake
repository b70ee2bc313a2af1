# lora_program(<target>): the settings of every program in this project.
function(lora_program target)
  set_target_properties(${target} PROPERTIES CXX_EXTENSIONS OFF)
  target_compile_options(${target} PRIVATE -Wall -Wextra -Wpedantic -Wshadow -Wconversion)
  # GCC 12's own AVX-512 intrinsics leave registers undefined on purpose, and it warns of that where
  # they are inlined (GCC bug 105593, mended in GCC 13). At -O3 it also takes copies of strings to
  # overlap (105329).
  if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU" AND CMAKE_CXX_COMPILER_VERSION VERSION_LESS 13)
    target_compile_options(${target} PRIVATE -Wno-uninitialized -Wno-restrict)
  endif()
  # Every GCC takes an empty std::optional's value to be read (80635): GCC 14 does of kv_heads at -O1.
  if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
    target_compile_options(${target} PRIVATE -Wno-maybe-uninitialized)
  endif()
  if(LORA_WARNINGS_AS_ERRORS)
    target_compile_options(${target} PRIVATE -Werror)
  endif()
endfunction()

set(LORA_USER_PROGRAM_FLAGS "" CACHE STRING
  "More flags for programs that the tests compile and at most start, as -O0")
option(LORA_BENCHMARK_PROGRAMS "Compile what only benchmarks run, with all else" ON)
# lora_benchmark_program(<target>): one that only the figures need.
function(lora_benchmark_program target)
  lora_user_program(${target})
  if(NOT LORA_BENCHMARK_PROGRAMS)
    set_target_properties(${target} PROPERTIES EXCLUDE_FROM_ALL ON)
  endif()
endfunction()
# lora_user_program(<target>): one that only its user runs to any length.
function(lora_user_program target)
  lora_program(${target})
  target_compile_options(${target} PRIVATE ${LORA_USER_PROGRAM_FLAGS})
endfunction()

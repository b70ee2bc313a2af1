# lora::compiled  optional: the headers' templates for float, compiled once
#
# A program that links it compiles its own part alone. The library is compiled for this machine
# (lora::native), and so is what links it, since Eigen's alignment depends on the instruction set.
option(LORA_COMPILED "Build lora::compiled, the templates for float as a library" OFF)
if(NOT LORA_COMPILED)
  return()
endif()

add_library(lora_compiled STATIC cmake/compiled/lora.cpp)
add_library(lora::compiled ALIAS lora_compiled)
set_target_properties(lora_compiled PROPERTIES EXPORT_NAME compiled)
target_compile_definitions(lora_compiled PUBLIC LORA_COMPILED)
target_link_libraries(lora_compiled PUBLIC lora lora_native)
if(TARGET lora_io)
  target_sources(lora_compiled PRIVATE cmake/compiled/io.cpp cmake/compiled/models.cpp)
  target_link_libraries(lora_compiled PUBLIC lora_io)
endif()
include(cmake/program.cmake)
lora_program(lora_compiled)

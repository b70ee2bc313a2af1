# lora::lora    the headers that need Eigen alone
# lora::io      files: JSON and safetensors; training runs; models read from them
# lora::text    text for language models: lora::io and utf8proc
# lora::gzip    images in files that gzip compressed: zlib
# lora::mpi     training on several machines: lora::io and an MPI 3
# lora::compiled  the same, compiled for float: compiled.cmake
# lora::native  this machine's best compiler flags, for whoever wants them

add_library(lora INTERFACE)
add_library(lora::lora ALIAS lora)
target_compile_features(lora INTERFACE cxx_std_20)
target_include_directories(lora INTERFACE
  $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}/include>
  $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}>)
target_link_libraries(lora INTERFACE Eigen3::Eigen)

if(TARGET OpenMP::OpenMP_CXX)
  # Whoever uses the installed package has OpenMP or not, by themselves: lora-config.cmake.
  target_link_libraries(lora INTERFACE $<BUILD_INTERFACE:OpenMP::OpenMP_CXX>)
endif()

if(LORA_BLAS)
  target_compile_definitions(lora INTERFACE EIGEN_USE_BLAS)
  target_link_libraries(lora INTERFACE BLAS::BLAS)
endif()

# lora_part(<name> <needs>...): makes lora::<name>, headers that need more than Eigen.
function(lora_part name)
  add_library(lora_${name} INTERFACE)
  add_library(lora::${name} ALIAS lora_${name})
  set_target_properties(lora_${name} PROPERTIES EXPORT_NAME ${name})
  target_link_libraries(lora_${name} INTERFACE ${ARGN})
endfunction()

if(LORA_IO)
  lora_part(io lora nlohmann_json::nlohmann_json)
endif()

if(LORA_TEXT)
  # utf8proc may be a part of this build, under a name of its own that no export set knows; the
  # installed package finds it by the usual one.
  set(lora_utf8proc utf8proc::utf8proc)
  if(NOT TARGET utf8proc::utf8proc)
    set(lora_utf8proc utf8proc)
  endif()
  lora_part(text lora_io
    $<BUILD_INTERFACE:${lora_utf8proc}> $<INSTALL_INTERFACE:utf8proc::utf8proc>)
endif()

if(LORA_GZIP)
  lora_part(gzip lora ZLIB::ZLIB)
endif()

if(LORA_MPI)
  lora_part(mpi lora_io MPI::MPI_CXX)
endif()

add_library(lora_native INTERFACE)
add_library(lora::native ALIAS lora_native)
set_target_properties(lora_native PROPERTIES EXPORT_NAME native)
include(${PROJECT_SOURCE_DIR}/cmake/native.cmake)
# Whoever uses the installed package finds flags of their own: lora-config.cmake.
target_compile_options(lora_native INTERFACE "$<BUILD_INTERFACE:${lora_native_options}>")

include(CMakePackageConfigHelpers)

# Headers are the same for every machine; lora::compiled is not.
set(lora_shared_dir ${CMAKE_INSTALL_DATADIR})
if(TARGET lora_compiled)
  set(lora_shared_dir ${CMAKE_INSTALL_LIBDIR})
endif()
set(lora_package_dir ${lora_shared_dir}/cmake/lora)

install(DIRECTORY ${PROJECT_SOURCE_DIR}/include/lora DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})
install(TARGETS lora lora_native EXPORT lora-targets)
install(EXPORT lora-targets NAMESPACE lora:: DESTINATION ${lora_package_dir})
# Sets of their own, so that the rest of the package can be used where a part's needs are not met.
foreach(part io text gzip mpi compiled)
  if(TARGET lora_${part})
    install(TARGETS lora_${part} EXPORT lora-${part}-targets)
    install(EXPORT lora-${part}-targets NAMESPACE lora:: DESTINATION ${lora_package_dir})
  endif()
endforeach()
install(FILES ${PROJECT_SOURCE_DIR}/cmake/native.cmake DESTINATION ${lora_package_dir}
  RENAME lora-native.cmake)
if(TARGET lora_text)
  install(FILES ${PROJECT_SOURCE_DIR}/cmake/Findutf8proc.cmake DESTINATION ${lora_package_dir})
endif()
configure_package_config_file(
  ${PROJECT_SOURCE_DIR}/cmake/lora-config.cmake.in ${PROJECT_BINARY_DIR}/lora-config.cmake
  INSTALL_DESTINATION ${lora_package_dir})
write_basic_package_version_file(${PROJECT_BINARY_DIR}/lora-config-version.cmake
  COMPATIBILITY SameMinorVersion ARCH_INDEPENDENT)
install(FILES
  ${PROJECT_BINARY_DIR}/lora-config.cmake ${PROJECT_BINARY_DIR}/lora-config-version.cmake
  DESTINATION ${lora_package_dir})

# lora_pkg_config(<name> <description> <requires> <cflags> <libs>): installs <name>.pc, for whoever
# builds without CMake. Its paths follow the file, wherever the package is moved.
set(lora_pc_dir ${lora_shared_dir}/pkgconfig)
function(lora_pkg_config PC_NAME PC_DESCRIPTION PC_REQUIRES PC_CFLAGS PC_LIBS)
  foreach(dir INCLUDEDIR LIBDIR)
    if(IS_ABSOLUTE "${CMAKE_INSTALL_${dir}}")
      set(PC_${dir} ${CMAKE_INSTALL_${dir}})
    else()
      set(PC_${dir} \${prefix}/${CMAKE_INSTALL_${dir}})
    endif()
  endforeach()
  set(PC_PREFIX ${CMAKE_INSTALL_PREFIX})
  if(NOT IS_ABSOLUTE "${lora_pc_dir}")
    file(RELATIVE_PATH up /${lora_pc_dir} /)
    string(REGEX REPLACE "/$" "" PC_PREFIX "\${pcfiledir}/${up}")
  endif()
  configure_file(${PROJECT_SOURCE_DIR}/cmake/packaging/lora.pc.in ${PROJECT_BINARY_DIR}/${PC_NAME}.pc
    @ONLY)
  install(FILES ${PROJECT_BINARY_DIR}/${PC_NAME}.pc DESTINATION ${lora_pc_dir})
endfunction()
set(lora_pc_requires eigen3)
set(lora_pc_blas "")
if(LORA_BLAS)
  set(lora_pc_requires "eigen3, blas")
  set(lora_pc_blas -DEIGEN_USE_BLAS)
endif()
lora_pkg_config(lora "${PROJECT_DESCRIPTION}" "${lora_pc_requires}" "${lora_pc_blas}" "")
if(TARGET lora_io)
  lora_pkg_config(lora-io "lora: files, training runs, models" "lora, nlohmann_json" "" "")
endif()
if(TARGET lora_text)
  lora_pkg_config(lora-text "lora: text for language models" "lora-io, libutf8proc" "" "")
endif()
if(TARGET lora_gzip)
  lora_pkg_config(lora-gzip "lora: files of images that gzip compressed" "lora, zlib" "" "")
endif()
if(TARGET lora_mpi)
  # No MPI among what it requires, since each has a name of its own there: MPI's mpicxx compiles. The
  # definitions leave out C++ bindings that MPI 3 has no more.
  lora_pkg_config(lora-mpi "lora: training on several machines, compiled by MPI's mpicxx" lora-io
    "-DOMPI_SKIP_MPICXX -DMPICH_SKIP_MPICXX" "")
endif()
if(TARGET lora_compiled)
  set(lora_pc_part lora)
  if(TARGET lora_io)
    set(lora_pc_part lora-io)
  endif()
  list(JOIN lora_native_options " " lora_pc_options)
  lora_pkg_config(lora-compiled "lora: its templates for float, compiled for this machine"
    ${lora_pc_part} "-DLORA_COMPILED ${lora_pc_options} ${OpenMP_CXX_FLAGS}"
    "-L\${libdir} -llora_compiled ${OpenMP_CXX_FLAGS}")
endif()

if(PROJECT_IS_TOP_LEVEL AND NOT TARGET lora_compiled)
  include(${PROJECT_SOURCE_DIR}/cmake/packaging/deb.cmake)
endif()

include(CMakePackageConfigHelpers)

set(lora_package_dir ${CMAKE_INSTALL_LIBDIR}/cmake/lora)

install(DIRECTORY ${PROJECT_SOURCE_DIR}/include/lora DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})
install(TARGETS lora lora_native EXPORT lora-targets)
install(EXPORT lora-targets NAMESPACE lora:: DESTINATION ${lora_package_dir})
# Sets of their own, so that the rest of the package can be used where a part's needs are not met.
foreach(part io text gzip compiled)
  if(TARGET lora_${part})
    install(TARGETS lora_${part} EXPORT lora-${part}-targets)
    install(EXPORT lora-${part}-targets NAMESPACE lora:: DESTINATION ${lora_package_dir})
  endif()
endforeach()
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

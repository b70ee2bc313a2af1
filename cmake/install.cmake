include(CMakePackageConfigHelpers)

set(lora_package_dir ${CMAKE_INSTALL_LIBDIR}/cmake/lora)
set(lora_targets lora lora_native)
if(TARGET lora_io)
  list(APPEND lora_targets lora_io)
endif()

install(DIRECTORY ${PROJECT_SOURCE_DIR}/include/lora DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})
install(TARGETS ${lora_targets} EXPORT lora-targets)
install(EXPORT lora-targets NAMESPACE lora:: DESTINATION ${lora_package_dir})
# A set of its own, so that the rest of the package can be used where utf8proc is not installed.
if(TARGET lora_text)
  install(TARGETS lora_text EXPORT lora-text-targets)
  install(EXPORT lora-text-targets NAMESPACE lora:: DESTINATION ${lora_package_dir})
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

# An overlay port of the sources around it: vcpkg install lora --overlay-ports=cmake/packaging/vcpkg
# A registry's copy of it takes vcpkg_from_github here instead.
cmake_path(ABSOLUTE_PATH CURRENT_PORT_DIR NORMALIZE OUTPUT_VARIABLE SOURCE_PATH)
foreach(up RANGE 1 4)
  cmake_path(GET SOURCE_PATH PARENT_PATH SOURCE_PATH)
endforeach()

# Headers alone: a debug build would install the same.
set(VCPKG_BUILD_TYPE release)

vcpkg_check_features(OUT_FEATURE_OPTIONS FEATURE_OPTIONS
  FEATURES
    io LORA_IO
    text LORA_TEXT
    gzip LORA_GZIP
    mpi LORA_MPI
)
vcpkg_cmake_configure(
  SOURCE_PATH "${SOURCE_PATH}"
  OPTIONS
    ${FEATURE_OPTIONS}
    -DLORA_INSTALL=ON
    -DLORA_BUILD_TESTS=OFF
    -DLORA_BUILD_EXAMPLES=OFF
    -DLORA_BUILD_BENCHMARKS=OFF
)
vcpkg_cmake_install()
vcpkg_cmake_config_fixup(CONFIG_PATH share/cmake/lora)
vcpkg_fixup_pkgconfig()

file(INSTALL "${CMAKE_CURRENT_LIST_DIR}/usage" DESTINATION "${CURRENT_PACKAGES_DIR}/share/${PORT}")
vcpkg_install_copyright(FILE_LIST "${SOURCE_PATH}/LICENSE")

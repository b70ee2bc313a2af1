# The Debian package: cmake --workflow --preset deb. One for every machine, since it holds headers; what
# a part needs beyond Eigen is only recommended, since the rest works without.
set(CPACK_GENERATOR DEB)
set(CPACK_PACKAGE_NAME liblora-dev)
set(CPACK_PACKAGE_VENDOR "The lora authors")
set(CPACK_PACKAGE_CONTACT "The lora authors <lora@localhost>")
set(CPACK_PACKAGE_DESCRIPTION_SUMMARY "LoRA layers for models in C++: header-only templates on Eigen")
set(CPACK_DEBIAN_PACKAGE_DESCRIPTION
"Wraps a frozen weight in a layer, trains its small factors on the CPU, and
saves and loads adapters in PEFT's format.

lora::io and pkg-config's lora-io need nlohmann-json3-dev, lora::text needs
libutf8proc-dev as well, lora::gzip zlib1g-dev, and lora::mpi an MPI.")
set(CPACK_DEBIAN_PACKAGE_ARCHITECTURE all)
set(CPACK_DEBIAN_PACKAGE_RELEASE 1)
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_SECTION libdevel)
set(CPACK_DEBIAN_PACKAGE_DEPENDS "libeigen3-dev (>= 3.4)")
set(CPACK_DEBIAN_PACKAGE_RECOMMENDS
  "g++ | c++-compiler, nlohmann-json3-dev (>= 3.10), libutf8proc-dev (>= 2.8), zlib1g-dev")
set(CPACK_DEBIAN_PACKAGE_SUGGESTS "cmake (>= 3.25), pkgconf | pkg-config, mpi-default-dev")
install(FILES ${PROJECT_SOURCE_DIR}/LICENSE DESTINATION ${CMAKE_INSTALL_DATADIR}/doc/liblora-dev
  RENAME copyright COMPONENT deb EXCLUDE_FROM_ALL)
set(CPACK_COMPONENTS_ALL Unspecified deb)
set(CPACK_DEB_COMPONENT_INSTALL ON)
set(CPACK_COMPONENTS_GROUPING ALL_COMPONENTS_IN_ONE)
set(CPACK_INSTALL_DEFAULT_DIRECTORY_PERMISSIONS
  OWNER_READ OWNER_WRITE OWNER_EXECUTE GROUP_READ GROUP_EXECUTE WORLD_READ WORLD_EXECUTE)
include(CPack)

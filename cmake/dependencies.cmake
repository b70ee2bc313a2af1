# What is installed is used; what is not comes from its official repository at a pinned tag.
include(FetchContent)

# lora_dependency(<package> TARGET <target> REPOSITORY <url> TAG <tag>): finds the package, or
# fetches it and adds it to the build. Fetched packages build nothing of their own but the library.
macro(lora_dependency package)
  cmake_parse_arguments(DEP "" "TARGET;REPOSITORY;TAG" "" ${ARGN})
  find_package(${package} QUIET)
  if(NOT TARGET ${DEP_TARGET})
    message(STATUS "${package} is not installed: fetching ${DEP_TAG} from ${DEP_REPOSITORY}")
    FetchContent_Declare(${package}
      GIT_REPOSITORY ${DEP_REPOSITORY} GIT_TAG ${DEP_TAG} GIT_SHALLOW ON SYSTEM)
    FetchContent_MakeAvailable(${package})
  endif()
endmacro()

# Projects that ask for a CMake before 3.13 would not look at the variables below.
set(CMAKE_POLICY_DEFAULT_CMP0077 NEW)
# Eigen 3.4 and others would add their own tests to ours.
set(BUILD_TESTING OFF)

set(EIGEN_BUILD_DOC OFF)
set(EIGEN_BUILD_PKGCONFIG OFF)
# Installed with the project when fetched, so that lora's package finds it again.
set(EIGEN_BUILD_CMAKE_PACKAGE ${LORA_INSTALL})
lora_dependency(Eigen3 TARGET Eigen3::Eigen
  REPOSITORY https://gitlab.com/libeigen/eigen.git TAG 3.4.0)

if(LORA_IO)
  set(JSON_BuildTests OFF)
  set(JSON_Install ${LORA_INSTALL})
  lora_dependency(nlohmann_json TARGET nlohmann_json::nlohmann_json
    REPOSITORY https://github.com/nlohmann/json.git TAG v3.11.3)
endif()

if(LORA_TEXT)
  # Its 2.8 asks for a CMake that CMake 4 no longer imitates unless told to.
  set(CMAKE_POLICY_VERSION_MINIMUM 3.5)
  set(UTF8PROC_INSTALL ${LORA_INSTALL})
  lora_dependency(utf8proc TARGET utf8proc::utf8proc
    REPOSITORY https://github.com/JuliaStrings/utf8proc.git TAG v2.8.0)
  unset(CMAKE_POLICY_VERSION_MINIMUM)
endif()

if(LORA_GZIP)
  find_package(ZLIB REQUIRED)
endif()

# ON or OFF from here on, for the package too.
string(TOUPPER "${LORA_MPI}" lora_mpi_wanted)
if(LORA_MPI AND LORA_IO)
  set(MPI_CXX_SKIP_MPICXX ON)  # its C++ bindings, which MPI 3 has no more
  find_package(MPI 3 QUIET COMPONENTS CXX)
endif()
if(lora_mpi_wanted STREQUAL "AUTO" AND LORA_IO AND MPI_CXX_FOUND)
  set(LORA_MPI ON)
elseif(lora_mpi_wanted STREQUAL "AUTO")
  set(LORA_MPI OFF)
  message(STATUS "lora::mpi is left out: there is no MPI 3, or LORA_IO is OFF")
elseif(LORA_MPI AND NOT LORA_IO)
  message(FATAL_ERROR "LORA_MPI=${LORA_MPI} needs LORA_IO=ON, on which lora::mpi builds")
elseif(LORA_MPI AND NOT MPI_CXX_FOUND)
  message(FATAL_ERROR "LORA_MPI=${LORA_MPI} needs an MPI 3 with headers for C++, and CMake found none. On "
    "Debian: apt-get install libopenmpi-dev openmpi-bin, or libmpich-dev mpich. Elsewhere say where it is, "
    "-DMPI_HOME=FOLDER or -DMPI_CXX_COMPILER=mpicxx; or do without, -DLORA_MPI=OFF")
endif()

if(LORA_OPENMP)
  find_package(OpenMP COMPONENTS CXX QUIET)
endif()

if(LORA_BLAS)
  # BLAS is found through the linker; CMake's module wants a C compiler for its checks.
  enable_language(C)
  find_package(BLAS REQUIRED)
endif()

if(LORA_BUILD_EXAMPLES OR LORA_BUILD_BENCHMARKS)
  lora_dependency(CLI11 TARGET CLI11::CLI11
    REPOSITORY https://github.com/CLIUtils/CLI11.git TAG v2.3.2)
endif()

if(LORA_BUILD_BENCHMARKS)
  set(BENCHMARK_ENABLE_TESTING OFF)
  set(BENCHMARK_ENABLE_INSTALL OFF)
  lora_dependency(benchmark TARGET benchmark::benchmark
    REPOSITORY https://github.com/google/benchmark.git TAG v1.8.3)
endif()

if(LORA_BUILD_TESTS)
  lora_dependency(Catch2 TARGET Catch2::Catch2
    REPOSITORY https://github.com/catchorg/Catch2.git TAG v3.5.4)
  # A library, which systems have for their own processor; for others a part of the tests does without.
  if(CMAKE_CROSSCOMPILING)
    find_package(rapidcheck QUIET)
  else()
    lora_dependency(rapidcheck TARGET rapidcheck
      REPOSITORY https://github.com/emil-e/rapidcheck.git
      TAG ff6af6fc683159deb51c543b065eba14dfcf329b)
  endif()
endif()

unset(BUILD_TESTING)
unset(CMAKE_POLICY_DEFAULT_CMP0077)

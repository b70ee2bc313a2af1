# Debian's cross compiler for 64-bit Arm: apt-get install g++-aarch64-linux-gnu qemu-user
set(CMAKE_SYSTEM_NAME Linux)
set(CMAKE_SYSTEM_PROCESSOR aarch64)
set(CMAKE_C_COMPILER aarch64-linux-gnu-gcc)
set(CMAKE_CXX_COMPILER aarch64-linux-gnu-g++)
set(CMAKE_LIBRARY_ARCHITECTURE aarch64-linux-gnu)
# Programs of this machine, all else of that one. Eigen, JSON and Catch2 are the same for all, but a
# -I/usr/include for them would bring this machine's headers too: give -DCMAKE_FIND_ROOT_PATH= a folder
# with a usr/ of their own, as .ci/try_cross makes it.
list(APPEND CMAKE_FIND_ROOT_PATH /usr/aarch64-linux-gnu)
set(CMAKE_FIND_ROOT_PATH_MODE_PROGRAM NEVER)
set(CMAKE_FIND_ROOT_PATH_MODE_LIBRARY ONLY)
set(CMAKE_FIND_ROOT_PATH_MODE_INCLUDE ONLY)
set(CMAKE_FIND_ROOT_PATH_MODE_PACKAGE ONLY)
find_program(LORA_QEMU_AARCH64 NAMES qemu-aarch64 qemu-aarch64-static)
if(LORA_QEMU_AARCH64)
  set(CMAKE_CROSSCOMPILING_EMULATOR ${LORA_QEMU_AARCH64} -L /usr/aarch64-linux-gnu)
endif()

# Debian's cross compiler for 64-bit Windows: apt-get install g++-mingw-w64-x86-64-posix wine64 wine
set(CMAKE_SYSTEM_NAME Windows)
set(CMAKE_SYSTEM_PROCESSOR x86_64)
set(CMAKE_C_COMPILER x86_64-w64-mingw32-gcc-posix)
set(CMAKE_CXX_COMPILER x86_64-w64-mingw32-g++-posix)
set(CMAKE_RC_COMPILER x86_64-w64-mingw32-windres)
# Programs of this machine, all else of that one. Eigen, JSON and Catch2 are the same for all, but a
# -I/usr/include for them would bring this machine's headers too: give -DCMAKE_FIND_ROOT_PATH= a folder
# with a usr/ of their own, as .ci/try_cross makes it.
list(APPEND CMAKE_FIND_ROOT_PATH /usr/x86_64-w64-mingw32)
set(CMAKE_FIND_ROOT_PATH_MODE_PROGRAM NEVER)
set(CMAKE_FIND_ROOT_PATH_MODE_LIBRARY ONLY)
set(CMAKE_FIND_ROOT_PATH_MODE_INCLUDE ONLY)
set(CMAKE_FIND_ROOT_PATH_MODE_PACKAGE ONLY)
# More sections in a file than the format's first form counts, and no DLLs to carry along but OpenMP's.
set(CMAKE_CXX_FLAGS_INIT -Wa,-mbig-obj)
set(CMAKE_EXE_LINKER_FLAGS_INIT -static)
find_program(LORA_WINE NAMES wine64 wine)
if(LORA_WINE)
  execute_process(COMMAND ${CMAKE_CXX_COMPILER} -print-file-name=libgomp-1.dll
    OUTPUT_VARIABLE lora_gomp OUTPUT_STRIP_TRAILING_WHITESPACE)
  cmake_path(GET lora_gomp PARENT_PATH lora_gomp)
  set(CMAKE_CROSSCOMPILING_EMULATOR
    env "WINEPATH=Z:${lora_gomp}\\;Z:/usr/x86_64-w64-mingw32/lib" ${LORA_WINE})
endif()

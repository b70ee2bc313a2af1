# Configures, builds and runs the consumer in ${WAY}, from an empty folder; where WITHOUT names a
# package, configures it as on a machine that lacks that. EXPECTED are the parts that there must be, joined by commas.
set(build ${WORK}/${WAY}${WITHOUT})
set(prefix ${WORK}/prefix${WITHOUT})
set(without "")
if(WITHOUT)
  set(without -DCMAKE_DISABLE_FIND_PACKAGE_${WITHOUT}=ON)
endif()
file(REMOVE_RECURSE ${build})

function(run)
  execute_process(COMMAND ${ARGN} RESULT_VARIABLE result OUTPUT_VARIABLE output
    ERROR_VARIABLE output)
  if(NOT result EQUAL 0)
    message(FATAL_ERROR "failed: ${ARGN}\n${output}")
  endif()
endfunction()

if(WAY STREQUAL "find_package")
  file(REMOVE_RECURSE ${prefix})
  run(${CMAKE_COMMAND} --install ${BINARY} --prefix ${prefix})
endif()
run(${CMAKE_COMMAND} -S ${SOURCE}/tests/consume/${WAY} -B ${build} -G ${GENERATOR}
  -DCMAKE_CXX_COMPILER=${COMPILER} "-DCMAKE_PREFIX_PATH=${prefix};${PREFIX_PATH}"
  -DLORA_SOURCE=${SOURCE} -DEXPECTED=${EXPECTED} ${without})
if(NOT WITHOUT)
  run(${CMAKE_COMMAND} --build ${build})
  run(${build}/consumer)
endif()

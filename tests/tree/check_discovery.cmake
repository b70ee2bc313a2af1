# Compares how many tests PROGRAM has with how many of them CTest runs, in the build folder.
execute_process(COMMAND ${PROGRAM} --list-tests OUTPUT_VARIABLE listed)
execute_process(COMMAND ${CTEST} -N -L "^lora_tests$" OUTPUT_VARIABLE known)
# Both end with a line like "123 test cases".
string(REGEX MATCH "([0-9]+) (matching )?test cases?" count "${listed}")
set(listed ${CMAKE_MATCH_1})
string(REGEX MATCH "Total Tests: ([0-9]+)" count "${known}")
set(known ${CMAKE_MATCH_1})
if(NOT listed OR NOT listed EQUAL known)
  message(FATAL_ERROR "the program has '${listed}' tests, CTest runs '${known}' of them")
endif()

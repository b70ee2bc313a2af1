# The reference, as HTML, from the comments of the headers and the guides: the target `docs`.
find_package(Doxygen 1.9.4 REQUIRED)
find_package(Python3 COMPONENTS Interpreter REQUIRED)

set(LORA_DOCS_DIR ${PROJECT_BINARY_DIR}/reference)
configure_file(${PROJECT_SOURCE_DIR}/cmake/docs/Doxyfile.in ${LORA_DOCS_DIR}/Doxyfile @ONLY)

add_custom_target(docs
  COMMAND ${CMAKE_COMMAND} -E rm -rf ${LORA_DOCS_DIR}/include ${LORA_DOCS_DIR}/guides ${LORA_DOCS_DIR}/html
  COMMAND Python3::Interpreter ${PROJECT_SOURCE_DIR}/cmake/docs/prepare.py
    ${PROJECT_SOURCE_DIR} ${LORA_DOCS_DIR} $<TARGET_FILE:Doxygen::doxygen>
  COMMAND Doxygen::doxygen ${LORA_DOCS_DIR}/Doxyfile
  COMMAND ${CMAKE_COMMAND} -E echo "The reference: ${LORA_DOCS_DIR}/html/index.html"
  VERBATIM)

# Builds tests/package/consumer against elms, found the way WAY says, and runs it.
file(REMOVE_RECURSE "${SCRATCH}")
set(options -DELMS_WAY=${WAY})
if(WAY STREQUAL "find_package")
  execute_process(COMMAND ${CMAKE_COMMAND} --install "${ELMS_BINARY_DIR}" --prefix "${SCRATCH}/prefix"
    OUTPUT_QUIET COMMAND_ERROR_IS_FATAL ANY)
  list(APPEND options "-DCMAKE_PREFIX_PATH=${SCRATCH}/prefix")
else()
  list(APPEND options "-DELMS_SOURCE_DIR=${ELMS_SOURCE_DIR}")
endif()
execute_process(
  COMMAND ${CMAKE_COMMAND} -S "${CMAKE_CURRENT_LIST_DIR}/consumer" -B "${SCRATCH}/build" -G "${GENERATOR}"
          "-DCMAKE_CXX_COMPILER=${CXX}" "-DCMAKE_CXX_COMPILER_LAUNCHER=${LAUNCHER}" "-DCMAKE_BUILD_TYPE=${BUILD_TYPE}"
          "-DCMAKE_CXX_FLAGS=${CXX_FLAGS}" ${options}
  COMMAND_ERROR_IS_FATAL ANY)
execute_process(COMMAND ${CMAKE_COMMAND} --build "${SCRATCH}/build" COMMAND_ERROR_IS_FATAL ANY)
foreach(program consumer consumer_without_exceptions)
  execute_process(COMMAND "${SCRATCH}/build/${program}" COMMAND_ERROR_IS_FATAL ANY)
endforeach()

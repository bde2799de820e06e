# Builds two hosts, one with the elms that is installed at PREFIX inside and one with a later version of it, and a program that loads both. The later
# version is a copy of the tree with another version number, another inline namespace and a class that is laid out
# differently, so that a call that went to the other version's code would be seen.
file(REMOVE_RECURSE "${SCRATCH}")
set(quick "-DCMAKE_BUILD_TYPE=Debug" "-DCMAKE_CXX_FLAGS_DEBUG=-O0" "-DCMAKE_UNITY_BUILD=ON" "-DCMAKE_UNITY_BUILD_BATCH_SIZE=0")
set(tools -G "${GENERATOR}" "-DCMAKE_CXX_COMPILER=${CXX}" "-DCMAKE_CXX_COMPILER_LAUNCHER=${LAUNCHER}")

# Replaces text that must be there.
function(replace_in file old new)
  file(READ "${file}" text)
  string(REPLACE "${old}" "${new}" changed "${text}")
  if(changed STREQUAL text)
    message(FATAL_ERROR "${file} does not hold '${old}'")
  endif()
  file(WRITE "${file}" "${changed}")
endfunction()

set(later "${SCRATCH}/later")
file(COPY "${ELMS_SOURCE_DIR}/include" "${ELMS_SOURCE_DIR}/src" "${ELMS_SOURCE_DIR}/cmake" "${ELMS_SOURCE_DIR}/CMakeLists.txt"
     DESTINATION "${later}")
file(GLOB_RECURSE sources "${later}/include/*.hpp" "${later}/src/*.hpp" "${later}/src/*.cpp")
execute_process(COMMAND sed -i -E "s/\\bv0\\b/v1/g" ${sources} COMMAND_ERROR_IS_FATAL ANY)
replace_in("${later}/CMakeLists.txt" "project(elms VERSION 0.1.0" "project(elms VERSION 1.9.0")
# Kernels know no version, and where they lie the compiler cache has them.
replace_in("${later}/CMakeLists.txt" "add_subdirectory(kernels)" "add_subdirectory(\"${ELMS_SOURCE_DIR}/kernels\" kernels)")
replace_in("${later}/include/elms/elastic_model.hpp" "  std::unique_ptr<const detail::ModelSource> source_;"
           "  std::int64_t unknown_to_others_[9] = {};\n  std::unique_ptr<const detail::ModelSource> source_;")

foreach(version this later)
  set(where "-DELMS_SOURCE_DIR=${later}")
  if(version STREQUAL "this")
    set(where "-DCMAKE_PREFIX_PATH=${PREFIX}")
  endif()
  execute_process(COMMAND ${CMAKE_COMMAND} -S "${CMAKE_CURRENT_LIST_DIR}/two_versions" -B "${SCRATCH}/${version}_build" ${tools} ${quick}
    "${where}" COMMAND_ERROR_IS_FATAL ANY)
  execute_process(COMMAND ${CMAKE_COMMAND} --build "${SCRATCH}/${version}_build" COMMAND_ERROR_IS_FATAL ANY)
  execute_process(COMMAND nm --dynamic --defined-only --format=posix "${SCRATCH}/${version}_build/plugin.so"
    OUTPUT_VARIABLE symbols COMMAND_ERROR_IS_FATAL ANY)
  if(symbols MATCHES "(^|\n)elms_[a-z_]+ " OR NOT symbols MATCHES "plugin_answer")
    message(FATAL_ERROR "the host shows elms' C symbols to others, or none of its own: ${symbols}")
  endif()
endforeach()
execute_process(COMMAND "${SCRATCH}/this_build/program" "${SCRATCH}/this_build/plugin.so" "${SCRATCH}/later_build/plugin.so" "${MODEL}"
  COMMAND_ERROR_IS_FATAL ANY)

# Builds tests/package/consumer against elms, found the way WAY says, and runs it:
#   find_package     the package that the build under test installs, by CMake
#   pkg_config       the same, by pkg-config
#   add_subdirectory the source tree, as a part of the consumer's build
#   fetch_content    the same through FetchContent
#   debian           the Debian package that CPack makes of the build under test, unpacked; its fields are checked
#   shared           a shared library built for this, installed; its exported symbols are checked
# What is built for this is built for speed of building: whole targets at once, without optimisation.
file(REMOVE_RECURSE "${SCRATCH}")
set(quick "-DCMAKE_BUILD_TYPE=Debug" "-DCMAKE_CXX_FLAGS_DEBUG=-O0" "-DCMAKE_UNITY_BUILD=ON" "-DCMAKE_UNITY_BUILD_BATCH_SIZE=0")
set(tools -G "${GENERATOR}" "-DCMAKE_CXX_COMPILER=${CXX}" "-DCMAKE_CXX_COMPILER_LAUNCHER=${LAUNCHER}")
set(options -DELMS_WAY=${WAY} "-DELMS_SOURCE_DIR=${ELMS_SOURCE_DIR}")

function(run)
  execute_process(COMMAND ${ARGN} COMMAND_ERROR_IS_FATAL ANY)
endfunction()

function(check_exported_symbols library)
  execute_process(COMMAND nm --dynamic --defined-only --demangle --format=posix "${library}"
    OUTPUT_VARIABLE symbols COMMAND_ERROR_IS_FATAL ANY)
  string(REGEX MATCHALL "[^\n]+" lines "${symbols}")
  set(n_api 0)
  set(api "")
  foreach(line IN LISTS lines)
    if(line MATCHES "^(ELMS_[0-9]+ A|elms_|elms::|(vtable|typeinfo|typeinfo name|guard variable|VTT) for elms::)")
      if(line MATCHES "^elms_[a-z_]+(@@ELMS_0)? T")
        math(EXPR n_api "${n_api} + 1")
        string(REGEX MATCH "^elms_[a-z_]+" name "${line}")
        string(APPEND api " ${name}")
      endif()
    else()
      message(FATAL_ERROR "exported, and not of elms: ${line}")
    endif()
  endforeach()
  list(LENGTH lines n_all)
  message(STATUS "SHOWN: ${n_all} exported symbols, all of elms::, ELMS_* or these ${n_api} of the C API:${api}")
  if(n_api LESS 20)
    message(FATAL_ERROR "the C API is not exported")
  endif()
endfunction()

# What apt and people read of a package, and that all of it is below /usr.
function(check_debian_package package)
  execute_process(COMMAND dpkg-deb --field "${package}" OUTPUT_VARIABLE fields COMMAND_ERROR_IS_FATAL ANY)
  execute_process(COMMAND dpkg --print-architecture OUTPUT_VARIABLE architecture OUTPUT_STRIP_TRAILING_WHITESPACE)
  foreach(field "Package: elms\n" "Version: [0-9]+\\.[0-9]+\\.[0-9]+\n" "Architecture: ${architecture}\n" "Section: libdevel\n" "Priority: optional\n"
                "Maintainer: [^\n]+ <[^\n]+@[^\n]+>\n" "Installed-Size: [1-9]" "Description: [^\n][^\n][^\n]+"
                "Depends: [^\n]*libxnnpack-dev" "Depends: [^\n]*libpthreadpool-dev" "Depends: [^\n]*libcpuinfo-dev" "Depends: [^\n]*libutf8proc-dev")
    if(NOT "\n${fields}" MATCHES "\n${field}")
      message(FATAL_ERROR "no '${field}' among the package's fields:\n${fields}")
    endif()
  endforeach()
  execute_process(COMMAND dpkg-deb --contents "${package}" OUTPUT_VARIABLE contents COMMAND_ERROR_IS_FATAL ANY)
  foreach(file include/elms/elms.hpp include/elms/elms.h libelms.a elmsConfig.cmake elms.pc share/doc/elms/copyright)
    if(NOT contents MATCHES "/${file}\n")
      message(FATAL_ERROR "no ${file} in the package:\n${contents}")
    endif()
  endforeach()
  string(REGEX MATCHALL "[^\n]+" lines "${contents}")
  foreach(line IN LISTS lines)
    if(NOT line MATCHES "^[-d]rwxr-xr-x root/root .* \\./(usr/.*)?$|^-rw-r--r-- root/root .* \\./usr/")
      message(FATAL_ERROR "owner, mode or place: ${line}")
    endif()
  endforeach()
  list(LENGTH lines n_files)
  string(REGEX MATCH "Depends: [^\n]*" depends "${fields}")
  file(SIZE "${package}" size)
  message(STATUS "SHOWN: Debian package of ${size} bytes, ${n_files} files and folders. ${depends}")
endfunction()

if(WAY STREQUAL "debian")
  run(${CMAKE_CPACK_COMMAND} -G DEB --config "${ELMS_BINARY_DIR}/CPackConfig.cmake" -B "${SCRATCH}/package")
  file(GLOB package "${SCRATCH}/package/*.deb")
  check_debian_package("${package}")
  run(dpkg-deb --extract "${package}" "${SCRATCH}/root")
  list(APPEND options "-DCMAKE_PREFIX_PATH=${SCRATCH}/root/usr")
endif()
if(WAY STREQUAL "shared")
  run(${CMAKE_COMMAND} -S "${ELMS_SOURCE_DIR}" -B "${SCRATCH}/elms" ${tools} ${quick} "-DCMAKE_CXX_FLAGS=${CXX_FLAGS}"
      -DBUILD_SHARED_LIBS=ON -DELMS_BUILD_CLI=OFF -DELMS_BUILD_TESTS=OFF -DELMS_BUILD_BENCH=OFF -DELMS_BUILD_EXAMPLES=OFF)
  run(${CMAKE_COMMAND} --build "${SCRATCH}/elms")
  set(ELMS_BINARY_DIR "${SCRATCH}/elms")
endif()
if(WAY MATCHES "find_package|pkg_config|shared")
  execute_process(COMMAND ${CMAKE_COMMAND} --install "${ELMS_BINARY_DIR}" --prefix "${SCRATCH}/prefix"
    OUTPUT_QUIET COMMAND_ERROR_IS_FATAL ANY)
  list(APPEND options "-DCMAKE_PREFIX_PATH=${SCRATCH}/prefix")
endif()
if(WAY STREQUAL "shared")
  file(GLOB_RECURSE library "${SCRATCH}/prefix/libelms.so.*.*.*")
  check_exported_symbols("${library}")
endif()

run(${CMAKE_COMMAND} -S "${CMAKE_CURRENT_LIST_DIR}/consumer" -B "${SCRATCH}/build" ${tools} ${quick}
    "-DCMAKE_CXX_FLAGS=${CXX_FLAGS}" ${options})
run(${CMAKE_COMMAND} --build "${SCRATCH}/build")
foreach(program consumer consumer_without_exceptions consumer_in_c)
  run("${SCRATCH}/build/${program}")
endforeach()

# elms_discover_tests(TARGET NAME): every TEST_CASE of a Catch2 executable becomes the ctest entry "NAME: case", found
# right after linking. Labels are NAME and those of the tags below that the case carries; `ctest -L threads` selects by
# them. Cross-compiled tests run through CMAKE_CROSSCOMPILING_EMULATOR.
#
# Catch2's own catch_discover_tests cannot set labels by tag.
set(ELMS_TEST_TAGS slow threads)
set(ELMS_DISCOVER_TESTS_SCRIPT "${CMAKE_CURRENT_LIST_FILE}")

if(NOT CMAKE_SCRIPT_MODE_FILE)
  function(elms_discover_tests target name)
    set(test_file "${CMAKE_CURRENT_BINARY_DIR}/${target}_cases.cmake")
    set(include_file "${CMAKE_CURRENT_BINARY_DIR}/${target}_include.cmake")
    add_custom_command(TARGET ${target} POST_BUILD BYPRODUCTS "${test_file}" VERBATIM
      COMMAND "${CMAKE_COMMAND}" "-DPROGRAM=$<TARGET_FILE:${target}>" "-DEMULATOR=${CMAKE_CROSSCOMPILING_EMULATOR}"
              "-DNAME=${name}" "-DTEST_FILE=${test_file}" "-DWORKING_DIR=${CMAKE_CURRENT_BINARY_DIR}"
              -P "${ELMS_DISCOVER_TESTS_SCRIPT}")
    file(WRITE "${include_file}"
      "if(EXISTS \"${test_file}\")\n  include(\"${test_file}\")\n"
      "else()\n  add_test(\"${name}: (not built)\" \"${target}\")\nendif()\n")
    set_property(DIRECTORY APPEND PROPERTY TEST_INCLUDE_FILES "${include_file}")
  endfunction()
  return()
endif()

# The rest runs at build time, as a script.
cmake_minimum_required(VERSION 3.22)

# Sets `out` to the names of the cases that match a Catch2 test spec, a list.
function(list_cases spec out)
  execute_process(COMMAND ${EMULATOR} "${PROGRAM}" ${spec} --list-test-names-only
    OUTPUT_VARIABLE names RESULT_VARIABLE n_cases ERROR_VARIABLE problem)
  if(NOT n_cases MATCHES "^[0-9]+$" OR NOT problem STREQUAL "")  # Catch2 exits with the number of cases
    message(FATAL_ERROR "${PROGRAM} cannot list its tests: ${n_cases} ${problem}")
  endif()
  if(names MATCHES "[][;\\]")
    message(FATAL_ERROR "${PROGRAM}: a test name holds a bracket, a semicolon or a backslash: ${names}")
  endif()
  string(REGEX REPLACE "\n$" "" names "${names}")
  string(REPLACE "\n" ";" names "${names}")
  set(${out} "${names}" PARENT_SCOPE)
endfunction()

list_cases("" cases)
foreach(tag IN LISTS ELMS_TEST_TAGS)
  list_cases("[${tag}]" with_${tag})
endforeach()

set(script "")
foreach(case IN LISTS cases)
  set(labels ${NAME})
  foreach(tag IN LISTS ELMS_TEST_TAGS)
    if(case IN_LIST with_${tag})
      list(APPEND labels ${tag})
    endif()
  endforeach()
  string(REPLACE "," "\\," spec "${case}")  # in a Catch2 test spec, a comma means "or"
  set(command "")
  foreach(word IN LISTS EMULATOR PROGRAM spec)
    string(APPEND command " [==[${word}]==]")
  endforeach()
  string(APPEND script
    "add_test([==[${NAME}: ${case}]==]${command})\n"
    "set_tests_properties([==[${NAME}: ${case}]==] PROPERTIES LABELS \"${labels}\" TIMEOUT 600\n"
    "  WORKING_DIRECTORY [==[${WORKING_DIR}]==]\n"
    "  SKIP_REGULAR_EXPRESSION \"SKIPPED:\")\n")
endforeach()
file(WRITE "${TEST_FILE}" "${script}")

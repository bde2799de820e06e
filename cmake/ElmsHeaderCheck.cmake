# elms_add_header_check(): an object library, part of the default build, that compiles every header of include/elms on
# its own with the strictest settings a host may use: no exceptions, no RTTI, warnings as errors. Headers ending in .h
# are compiled as C too.
function(elms_add_header_check)
  file(GLOB_RECURSE headers CONFIGURE_DEPENDS RELATIVE "${PROJECT_SOURCE_DIR}/include"
       "${PROJECT_SOURCE_DIR}/include/elms/*.hpp" "${PROJECT_SOURCE_DIR}/include/elms/*.h")
  set(sources "")
  foreach(header IN LISTS headers)
    set(languages cpp)
    if(header MATCHES "\\.h$")
      list(APPEND languages c)
    endif()
    foreach(language IN LISTS languages)
      set(source "${CMAKE_CURRENT_BINARY_DIR}/header_check/${header}.${language}")
      # Twice: an include guard that does not guard is caught too.
      file(CONFIGURE OUTPUT "${source}" CONTENT "#include \"${header}\"\n#include \"${header}\"\n" @ONLY)
      list(APPEND sources "${source}")
    endforeach()
  endforeach()
  add_library(elms_header_check OBJECT ${sources})
  target_include_directories(elms_header_check PRIVATE "${PROJECT_SOURCE_DIR}/include")
  target_compile_features(elms_header_check PRIVATE cxx_std_20 c_std_99)
  set_target_properties(elms_header_check PROPERTIES CXX_EXTENSIONS OFF C_EXTENSIONS OFF UNITY_BUILD OFF)
  # Nobody runs the objects, so none of the time goes into optimising them.
  target_compile_options(elms_header_check PRIVATE -Wall -Wextra -Wpedantic -Wshadow -Werror -O0 -g0
    $<$<COMPILE_LANGUAGE:CXX>:-fno-exceptions -fno-rtti>)
endfunction()

# Language level, warnings and sanitizers that every target of this project is built with.
function(elms_compile_options target)
  target_compile_features(${target} PUBLIC cxx_std_20)
  set_target_properties(${target} PROPERTIES
    CXX_EXTENSIONS OFF C_STANDARD 11 C_VISIBILITY_PRESET hidden CXX_VISIBILITY_PRESET hidden
    VISIBILITY_INLINES_HIDDEN ON POSITION_INDEPENDENT_CODE ON)
  target_compile_options(${target} PRIVATE -Wall -Wextra -Wno-unused-parameter)
  if(CMAKE_UNITY_BUILD)
    # Files that become one unit see each other's unnamed namespaces; the dev build warns of what is meant.
    # GCC 12 warns of strings that overlap where they do not (its bug 105651).
    target_compile_options(${target} PRIVATE
      "$<$<AND:$<COMPILE_LANGUAGE:CXX>,$<CXX_COMPILER_ID:GNU>>:-Wno-subobject-linkage;-Wno-restrict>")
  else()
    target_compile_options(${target} PRIVATE -Wshadow)
  endif()
  if(ELMS_WERROR)
    target_compile_options(${target} PRIVATE -Werror)
  endif()
  if(ELMS_SANITIZE)
    target_compile_options(${target} PUBLIC -fsanitize=${ELMS_SANITIZE} -fno-omit-frame-pointer -g1)
    target_link_options(${target} PUBLIC -fsanitize=${ELMS_SANITIZE})
    # GCC sees uninitialised reads in code that the sanitizers put in.
    target_compile_options(${target} PRIVATE $<$<CXX_COMPILER_ID:GNU>:-Wno-maybe-uninitialized>)
    if(ELMS_SANITIZE MATCHES "undefined")
      # The device part has no RTTI, so that its objects have no type information to check (vptr).
      target_compile_options(${target} PUBLIC -fno-sanitize-recover=undefined -fno-sanitize=vptr)
    endif()
  endif()
endfunction()

# The device part: no RTTI, and nothing that could end the host. It throws nothing and needs no exceptions; with them it
# reports it as a Status, too, when a container of the standard library gets no memory (ELMS_EXCEPTIONS).
function(elms_device_options target)
  elms_compile_options(${target})
  target_compile_options(${target} PRIVATE $<$<COMPILE_LANGUAGE:CXX>:-fno-rtti>)
  if(NOT ELMS_EXCEPTIONS)
    target_compile_options(${target} PRIVATE $<$<COMPILE_LANGUAGE:CXX>:-fno-exceptions>)
  endif()
endfunction()

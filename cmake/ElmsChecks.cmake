# elms stores files little-endian and maps them, and addresses weights with 64 bits.
include(TestBigEndian)
if(NOT CMAKE_SIZEOF_VOID_P EQUAL 8)
  message(FATAL_ERROR "elms needs a 64-bit target; this one has ${CMAKE_SIZEOF_VOID_P}-byte pointers.")
endif()
test_big_endian(ELMS_BIG_ENDIAN)
if(ELMS_BIG_ENDIAN)
  message(FATAL_ERROR "elms maps little-endian model files and does not run on big-endian targets.")
endif()

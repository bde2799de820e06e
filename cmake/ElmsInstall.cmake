# Installs headers, libraries, the CLI, and the package that makes find_package(elms) work: targets elms::elms, and
# elms::offline where it was built.
include(CMakePackageConfigHelpers)
include(GNUInstallDirs)

set(package_dir "${CMAKE_INSTALL_LIBDIR}/cmake/elms")
set(libraries elms)
if(TARGET elms_offline)
  set_target_properties(elms_offline PROPERTIES EXPORT_NAME offline)
  list(APPEND libraries elms_offline)
  get_target_property(offline_links elms_offline LINK_LIBRARIES)
  if("SentencePiece::Train" IN_LIST offline_links)
    set(ELMS_OFFLINE_PACKAGES SentencePiece)
  endif()
endif()

install(TARGETS ${libraries} EXPORT elmsTargets
  ARCHIVE DESTINATION "${CMAKE_INSTALL_LIBDIR}"
  LIBRARY DESTINATION "${CMAKE_INSTALL_LIBDIR}"
  RUNTIME DESTINATION "${CMAKE_INSTALL_BINDIR}")
install(EXPORT elmsTargets NAMESPACE elms:: DESTINATION "${package_dir}")
if(TARGET elms_cli)
  install(TARGETS elms_cli RUNTIME DESTINATION "${CMAKE_INSTALL_BINDIR}")
endif()

install(DIRECTORY "${PROJECT_SOURCE_DIR}/include/elms" DESTINATION "${CMAKE_INSTALL_INCLUDEDIR}"
  FILES_MATCHING PATTERN "*.hpp" PATTERN "*.h")

configure_package_config_file("${CMAKE_CURRENT_LIST_DIR}/elmsConfig.cmake.in" elmsConfig.cmake
  INSTALL_DESTINATION "${package_dir}")
# Before 1.0 a minor version may change the API.
write_basic_package_version_file(elmsConfigVersion.cmake COMPATIBILITY SameMinorVersion)
install(FILES "${CMAKE_CURRENT_BINARY_DIR}/elmsConfig.cmake" "${CMAKE_CURRENT_BINARY_DIR}/elmsConfigVersion.cmake"
  DESTINATION "${package_dir}")
# The libraries that a static elms is linked with come without CMake packages of their own.
file(GLOB find_modules "${CMAKE_CURRENT_LIST_DIR}/Find*.cmake")
install(FILES ${find_modules} DESTINATION "${package_dir}")

# For those who build without CMake. A static elms names what it is made of; a shared one keeps that to itself.
set(ELMS_PC_STATIC_LIBS "")
get_target_property(elms_type elms TYPE)
if(elms_type STREQUAL "STATIC_LIBRARY")
  set(ELMS_PC_STATIC_LIBS " -lXNNPACK -lpthreadpool -lcpuinfo -lutf8proc -lstdc++ -lm -pthread")
endif()
cmake_path(RELATIVE_PATH CMAKE_INSTALL_PREFIX BASE_DIRECTORY "${CMAKE_INSTALL_PREFIX}/${CMAKE_INSTALL_LIBDIR}/pkgconfig"
  OUTPUT_VARIABLE ELMS_PC_PREFIX)
configure_file("${CMAKE_CURRENT_LIST_DIR}/elms.pc.in" elms.pc @ONLY)
install(FILES "${CMAKE_CURRENT_BINARY_DIR}/elms.pc" DESTINATION "${CMAKE_INSTALL_LIBDIR}/pkgconfig")

install(FILES "${PROJECT_SOURCE_DIR}/LICENSE" DESTINATION "${CMAKE_INSTALL_DATADIR}/doc/elms" RENAME copyright)

# `cpack -G DEB` in the build directory: one package with the library, its headers and the tool.
set(CPACK_PACKAGE_CONTACT "elms developers <elms@localhost>")
set(CPACK_PACKAGE_VENDOR "elms")
set(CPACK_DEBIAN_PACKAGE_DEPENDS "libpthreadpool-dev, libcpuinfo-dev, libutf8proc-dev, libxnnpack-dev")
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)
set(CPACK_DEBIAN_PACKAGE_SECTION libdevel)
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_STRIP_FILES ON)
set(CPACK_RESOURCE_FILE_LICENSE "${PROJECT_SOURCE_DIR}/LICENSE")
set(CPACK_GENERATOR DEB)
include(CPack)

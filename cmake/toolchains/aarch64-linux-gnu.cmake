# Cross build for 64-bit ARM Linux with Debian's compiler, against the sysroot that cmake/arm64_sysroot.sh fills.
# Header-only packages (Eigen, nlohmann/json, CLI11, Catch2) are the host's own: they are the same on every architecture.
set(CMAKE_SYSTEM_NAME Linux)
set(CMAKE_SYSTEM_PROCESSOR aarch64)
set(CMAKE_LIBRARY_ARCHITECTURE aarch64-linux-gnu)
set(CMAKE_C_COMPILER aarch64-linux-gnu-gcc)
set(CMAKE_CXX_COMPILER aarch64-linux-gnu-g++)

get_filename_component(elms_root "${CMAKE_CURRENT_LIST_DIR}/../.." ABSOLUTE)
set(ELMS_ARM64_SYSROOT "${elms_root}/build/sysroot-arm64" CACHE PATH "Debian arm64 packages, unpacked")
list(APPEND CMAKE_TRY_COMPILE_PLATFORM_VARIABLES ELMS_ARM64_SYSROOT)
if(NOT EXISTS "${ELMS_ARM64_SYSROOT}/usr/include/xnnpack.h")
  message(FATAL_ERROR "No arm64 libraries in ${ELMS_ARM64_SYSROOT}: run cmake/arm64_sysroot.sh first.")
endif()
set(elms_arm64_libraries "${ELMS_ARM64_SYSROOT}/usr/lib/aarch64-linux-gnu")

set(CMAKE_FIND_ROOT_PATH /usr/aarch64-linux-gnu "${ELMS_ARM64_SYSROOT}")
set(CMAKE_FIND_ROOT_PATH_MODE_PROGRAM NEVER)
set(CMAKE_FIND_ROOT_PATH_MODE_LIBRARY ONLY)
set(CMAKE_FIND_ROOT_PATH_MODE_INCLUDE ONLY)
set(CMAKE_FIND_ROOT_PATH_MODE_PACKAGE BOTH)
set(CMAKE_EXE_LINKER_FLAGS_INIT "-Wl,-rpath-link,${elms_arm64_libraries}")
set(ENV{PKG_CONFIG_LIBDIR} "${elms_arm64_libraries}/pkgconfig")
set(ENV{PKG_CONFIG_SYSROOT_DIR} "${ELMS_ARM64_SYSROOT}")

# A script, so that the CPU (and with it the kernels) is chosen when the tests run: ELMS_QEMU_CPU=cortex-a72 ctest ...
set(CMAKE_CROSSCOMPILING_EMULATOR "${elms_root}/cmake/qemu_run.sh;${elms_arm64_libraries}")

# Finds the SentencePiece libraries and headers, trainer included; targets SentencePiece::SentencePiece (the processor) and
# SentencePiece::Train. Not found where what is installed does not link: another architecture, or another standard library.
find_path(SentencePiece_INCLUDE_DIR NAMES sentencepiece_trainer.h)
find_library(SentencePiece_LIBRARY NAMES sentencepiece)
find_library(SentencePiece_TRAIN_LIBRARY NAMES sentencepiece_train)
set(SentencePiece_links TRUE)
if(SentencePiece_INCLUDE_DIR AND SentencePiece_LIBRARY AND SentencePiece_TRAIN_LIBRARY)
  include(CheckCXXSourceCompiles)
  include(CMakePushCheckState)
  cmake_push_check_state(RESET)
  set(CMAKE_REQUIRED_FLAGS "-std=c++17")
  set(CMAKE_REQUIRED_INCLUDES "${SentencePiece_INCLUDE_DIR}")
  set(CMAKE_REQUIRED_LIBRARIES "${SentencePiece_TRAIN_LIBRARY}" "${SentencePiece_LIBRARY}")
  check_cxx_source_compiles([[
    #include <sentencepiece_trainer.h>
    int main() {
      const std::unordered_map<std::string, std::string> arguments;
      return sentencepiece::SentencePieceTrainer::Train(arguments).ok() ? 0 : 1;
    }]] SentencePiece_LINKS)
  cmake_pop_check_state()
  set(SentencePiece_links "${SentencePiece_LINKS}")
endif()
include(FindPackageHandleStandardArgs)
find_package_handle_standard_args(SentencePiece
  REQUIRED_VARS SentencePiece_TRAIN_LIBRARY SentencePiece_LIBRARY SentencePiece_INCLUDE_DIR SentencePiece_links)
if(SentencePiece_FOUND AND NOT TARGET SentencePiece::SentencePiece)
  add_library(SentencePiece::SentencePiece UNKNOWN IMPORTED)
  set_target_properties(SentencePiece::SentencePiece PROPERTIES
    IMPORTED_LOCATION "${SentencePiece_LIBRARY}" INTERFACE_INCLUDE_DIRECTORIES "${SentencePiece_INCLUDE_DIR}")
  add_library(SentencePiece::Train UNKNOWN IMPORTED)
  set_target_properties(SentencePiece::Train PROPERTIES
    IMPORTED_LOCATION "${SentencePiece_TRAIN_LIBRARY}" INTERFACE_LINK_LIBRARIES SentencePiece::SentencePiece)
endif()
mark_as_advanced(SentencePiece_INCLUDE_DIR SentencePiece_LIBRARY SentencePiece_TRAIN_LIBRARY)

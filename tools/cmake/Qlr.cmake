# Shared build rules: warning flags, the project version, finding MLIR, and library and tool helpers.

set(QLR_WARNINGS -Wall -Wextra -Wno-unused-parameter)
include_directories(${PROJECT_SOURCE_DIR} ${PROJECT_BINARY_DIR})
find_package(Threads REQUIRED)

# lld links the compiler's programs in a fifth of a second; Debian installs it outside PATH, where gcc finds it with -B.
find_program(QLR_LLD ld.lld HINTS /usr/lib/llvm-22/bin)
if(QLR_LLD)
  get_filename_component(QLR_LLD_DIR ${QLR_LLD} DIRECTORY)
  set(QLR_LINKER_FLAGS -fuse-ld=lld -B${QLR_LLD_DIR})
endif()

# MLIR is used only through libMLIR and libLLVM: a suffixed MLIRFoo target would pull in a second, static copy.
macro(qlr_find_mlir)
  find_package(MLIR 22.1 REQUIRED CONFIG HINTS /usr/lib/llvm-22/lib/cmake/mlir)
  list(APPEND CMAKE_MODULE_PATH ${MLIR_CMAKE_DIR} ${LLVM_CMAKE_DIR})
  include(TableGen)
  include(AddLLVM)
  include(AddMLIR)
  set(QLR_MLIR_LIBS MLIR LLVM)
endmacro()

# qlr_add_library(name [OBJECT] SOURCES... [LINK libs...]): static (or object) library with the project's flags.
function(qlr_add_library name)
  cmake_parse_arguments(A "OBJECT" "" "SOURCES;LINK" ${ARGN})
  set(kind STATIC)
  if(A_OBJECT)
    set(kind OBJECT)
  endif()
  add_library(${name} ${kind} ${A_SOURCES})
  target_compile_options(${name} PRIVATE ${QLR_WARNINGS})
  target_link_libraries(${name} PUBLIC ${A_LINK} Threads::Threads)
endfunction()

# Headers of MLIR are SYSTEM so that their warnings stay theirs.
function(qlr_add_mlir_library name)
  qlr_add_library(${name} ${ARGN})
  target_include_directories(${name} SYSTEM PUBLIC ${MLIR_INCLUDE_DIRS} ${LLVM_INCLUDE_DIRS})
  # The time of a compilation passes inside libMLIR and libLLVM; -O1 saves most of the time of building this library.
  if(CMAKE_BUILD_TYPE STREQUAL "Release")
    target_compile_options(${name} PRIVATE -O1)
  endif()
  target_link_libraries(${name} PUBLIC ${QLR_MLIR_LIBS})
endfunction()

# qlr_add_tool(name SOURCES... LINK libs...): a program in ${PROJECT_BINARY_DIR}/bin.
function(qlr_add_tool name)
  cmake_parse_arguments(A "" "" "SOURCES;LINK" ${ARGN})
  add_executable(${name} ${A_SOURCES})
  target_compile_options(${name} PRIVATE ${QLR_WARNINGS})
  target_compile_definitions(${name} PRIVATE QLR_VERSION="${PROJECT_VERSION}")
  target_link_libraries(${name} PRIVATE ${A_LINK})
  target_link_options(${name} PRIVATE ${QLR_LINKER_FLAGS})
endfunction()

# SPDX-License-Identifier: Apache-2.0
# What every target of the project shares.
include(CheckCXXCompilerFlag)
include(GNUInstallDirs)
find_package(Threads REQUIRED)

# Warnings, standard, visibility and include paths of our own code. Never part of what a consumer sees.
add_library(cairn_flags INTERFACE)
target_compile_features(cairn_flags INTERFACE cxx_std_20)
target_compile_options(cairn_flags INTERFACE
  -fvisibility=hidden
  $<$<COMPILE_LANGUAGE:CXX>:-fvisibility-inlines-hidden>
  -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wsign-conversion
  $<$<COMPILE_LANGUAGE:CXX>:-Wold-style-cast -Wnon-virtual-dtor>
  $<$<BOOL:${CAIRN_WERROR}>:-Werror>)
target_include_directories(cairn_flags INTERFACE ${PROJECT_SOURCE_DIR})
# All machines round alike: what is fused is written as such. Plain x86-64 has nothing to fuse.
if(NOT CMAKE_SYSTEM_PROCESSOR MATCHES "^(x86_64|amd64|AMD64)$" OR CMAKE_CXX_FLAGS MATCHES "-m")
  target_compile_options(cairn_flags INTERFACE -ffp-contract=off)
endif()
# Of Debug alone: engine/base/assert.h, and what the standard library requires.
target_compile_definitions(cairn_flags INTERFACE $<$<CONFIG:Debug>:CAIRN_ASSERTIONS> $<$<CONFIG:Debug>:_GLIBCXX_ASSERTIONS>)

# The public headers, the generated ones among them.
add_library(cairn_headers INTERFACE)
target_include_directories(cairn_headers INTERFACE
  ${PROJECT_SOURCE_DIR}/engine/include ${PROJECT_BINARY_DIR}/include)

# Header-only packages, as SYSTEM so that their warnings are theirs. Debian's xsimd target drags in -lxtl, which no
# package provides: so none of their CMake targets is used.
function(cairn_header_package name header)
  find_path(${name}_INCLUDE_DIR ${header} REQUIRED)
  add_library(${name}_headers INTERFACE)
  target_include_directories(${name}_headers SYSTEM INTERFACE ${${name}_INCLUDE_DIR})
endfunction()
cairn_header_package(cairn_xsimd xsimd/xsimd.hpp)
cairn_header_package(cairn_xxhash xxhash.h)
cairn_header_package(cairn_boost boost/interprocess/mapped_region.hpp)
cairn_header_package(cairn_json nlohmann/json.hpp)

# A folder of the library: an object library with an alias, linked into libcairn. With CAIRN_UNITY it is compiled as one
# file (kernels aside, which have flags of their own), so names of anonymous namespaces are unique in a folder.
function(cairn_layer name)
  add_library(cairn_${name} OBJECT ${ARGN})
  add_library(cairn::${name} ALIAS cairn_${name})
  set_target_properties(cairn_${name} PROPERTIES
    POSITION_INDEPENDENT_CODE ON UNITY_BUILD ${CAIRN_UNITY} UNITY_BUILD_BATCH_SIZE 0)
  target_link_libraries(cairn_${name} PRIVATE cairn_flags PUBLIC cairn_headers)
endfunction()

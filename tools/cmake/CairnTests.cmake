# SPDX-License-Identifier: Apache-2.0
# How tests are declared.
include(GoogleTest)

if(CMAKE_CROSSCOMPILING)
  # Debian has no GoogleTest for the target, but its source.
  set(INSTALL_GTEST OFF)
  set(BUILD_GMOCK OFF)
  add_subdirectory(/usr/src/googletest ${PROJECT_BINARY_DIR}/googletest EXCLUDE_FROM_ALL SYSTEM)
else()
  find_package(GTest REQUIRED)
endif()

# A GoogleTest program, every case of it a test of its own:
#   cairn_test(superblock_test superblock_test.cc [more.cc] [LIBS target...] [LABEL word] [ENV NAME=value...])
# It may include any layer. LABEL selects it with `ctest -L`: "concurrency" are the ones that run under TSan in CI.
function(cairn_test name)
  cmake_parse_arguments(arg "" "LABEL;TIMEOUT" "LIBS;ENV" ${ARGN})
  add_executable(${name} ${arg_UNPARSED_ARGUMENTS})
  target_link_libraries(${name} PRIVATE cairn_flags cairn_headers cairn::internal ${arg_LIBS} GTest::gtest_main)
  if(TARGET cairn_test_support)
    target_link_libraries(${name} PRIVATE cairn_test_support)
  endif()
  if(NOT arg_TIMEOUT)
    set(arg_TIMEOUT 300)
  endif()
  set(properties TIMEOUT ${arg_TIMEOUT})
  if(arg_LABEL)
    list(APPEND properties LABELS ${arg_LABEL})
  endif()
  if(arg_ENV)
    list(APPEND properties ENVIRONMENT ${arg_ENV})
  endif()
  gtest_discover_tests(${name} DISCOVERY_MODE PRE_TEST DISCOVERY_TIMEOUT 120 PROPERTIES ${properties})
endfunction()

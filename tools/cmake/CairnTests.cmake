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

# What the ThreadSanitizer stage of CI builds: the tests with that label and no others.
add_custom_target(concurrency_tests)

# ENV of tests that make thousands of file images: malloc keeps the memory of one for the next.
set(CAIRN_TEST_KEEPS_MEMORY
  GLIBC_TUNABLES=glibc.malloc.trim_threshold=4000000000:glibc.malloc.mmap_threshold=33554432)

# Replaces operator new by one that fails when it is told to: for tests of what happens without memory.
set(CAIRN_FAILING_ALLOCATIONS ${PROJECT_SOURCE_DIR}/tests/support/failing_allocations.cc)

# A GoogleTest program, every case of it a test of its own:
#   cairn_test(superblock_test superblock_test.cc [more.cc] [LIBS target...] [LABEL word...] [TIER tier] [SLOW case...]
#              [ENV NAME=value...])
# It may include any layer. Its label is its folder, each LABEL, and its tier, in one word: `ctest -L '^engine'` runs the
# tests of the engine, `ctest -L concurrency` those that CI runs under ThreadSanitizer, `ctest -L kernels` those that it runs
# on every instruction set, `ctest -L quick` what runs before each commit. TIER: quick (a minute in all), slow, or crash
# (enumerated crash images). SLOW: cases of a quick program, as --gtest_filter names them, that take seconds each.
function(cairn_test name)
  cmake_parse_arguments(arg "" "TIER;TIMEOUT" "LABEL;LIBS;ENV;SLOW" ${ARGN})
  add_executable(${name} ${arg_UNPARSED_ARGUMENTS})
  target_link_libraries(${name} PRIVATE cairn_flags cairn_headers cairn::internal cairn_test_support ${arg_LIBS}
    GTest::gtest_main)
  target_precompile_headers(${name} REUSE_FROM cairn_test_support)
  if(NOT arg_TIMEOUT)
    set(arg_TIMEOUT 300)
  endif()
  set(properties TIMEOUT ${arg_TIMEOUT})
  cmake_path(RELATIVE_PATH CMAKE_CURRENT_SOURCE_DIR BASE_DIRECTORY ${PROJECT_SOURCE_DIR}/tests OUTPUT_VARIABLE label)
  string(REPLACE / - label ${label})
  list(JOIN arg_LABEL - words)
  if(words)
    string(APPEND label -${words})
  endif()
  if(NOT arg_TIER)
    set(arg_TIER quick)
  endif()
  if("concurrency" IN_LIST arg_LABEL)
    add_dependencies(concurrency_tests ${name})
  endif()
  if(arg_ENV)
    list(APPEND properties ENVIRONMENT ${arg_ENV})
  endif()
  set(discovery NO_PRETTY_VALUES DISCOVERY_MODE PRE_TEST DISCOVERY_TIMEOUT 120)
  if(arg_SLOW)
    list(JOIN arg_SLOW : slow)
    gtest_discover_tests(${name} ${discovery} TEST_FILTER "${slow}" TEST_LIST ${name}_SLOW_TESTS
      PROPERTIES ${properties} LABELS ${label}-slow)
    list(APPEND discovery TEST_FILTER "-${slow}")
  endif()
  gtest_discover_tests(${name} ${discovery} PROPERTIES ${properties} LABELS ${label}-${arg_TIER})
endfunction()

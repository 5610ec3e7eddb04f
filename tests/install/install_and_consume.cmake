# SPDX-License-Identifier: Apache-2.0
# cmake -D build_dir=... -D source_dir=... -D consumer=... -D scratch=... -D version=... -P install_and_consume.cmake
function(run)
  execute_process(COMMAND ${ARGN} COMMAND_ECHO STDOUT COMMAND_ERROR_IS_FATAL ANY)
endfunction()

set(prefix ${scratch}/prefix)
file(REMOVE_RECURSE ${scratch})
run(${CMAKE_COMMAND} --install ${build_dir} --prefix ${prefix})

# Nothing of the place where it was built may stay in the package.
file(GLOB_RECURSE package ${prefix}/*.cmake ${prefix}/*.h)
list(LENGTH package count)
if(count LESS 11)
  message(FATAL_ERROR "only ${count} headers and package files were installed: ${package}")
endif()
foreach(path IN LISTS package)
  file(READ ${path} text)
  foreach(word IN ITEMS ${source_dir} ${build_dir} xsimd boost xxhash nlohmann)
    string(FIND "${text}" "${word}" found)
    if(NOT found EQUAL -1)
      message(FATAL_ERROR "${path} speaks of ${word}")
    endif()
  endforeach()
endforeach()

# Compilers are tried without linking: a sanitizer's C++ runtime needs what only the package brings.
run(${CMAKE_COMMAND} -G ${generator} -S ${consumer} -B ${scratch}/build -D CMAKE_PREFIX_PATH=${prefix}
  -D CMAKE_C_COMPILER=${c_compiler} -D CMAKE_CXX_COMPILER=${cxx_compiler}
  -D CMAKE_TRY_COMPILE_TARGET_TYPE=STATIC_LIBRARY -D CAIRN_WANTED=${version} "-DCMAKE_C_FLAGS=${c_flags}" "-DCMAKE_CXX_FLAGS=${cxx_flags}")
run(${CMAKE_COMMAND} --build ${scratch}/build)
run(${CMAKE_COMMAND} -E chdir ${scratch}/build ${scratch}/build/consumer)

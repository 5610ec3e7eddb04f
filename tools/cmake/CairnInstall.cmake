# SPDX-License-Identifier: Apache-2.0
# The library as an installed copy: headers, package of CMake, pkg-config file. Components: `dev`, and `runtime` of a shared
# library; the command is `command`.
include(CMakePackageConfigHelpers)
set(package_dir ${CMAKE_INSTALL_LIBDIR}/cmake/cairn)
configure_package_config_file(${PROJECT_SOURCE_DIR}/tools/cmake/cairn-config.cmake.in
  ${PROJECT_BINARY_DIR}/cairn-config.cmake INSTALL_DESTINATION ${package_dir})
write_basic_package_version_file(${PROJECT_BINARY_DIR}/cairn-config-version.cmake COMPATIBILITY SameMajorVersion)

# The prefix follows from where the file lies, so that the copy can be moved.
set(CAIRN_PC_DIR ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
cmake_path(IS_ABSOLUTE CAIRN_PC_DIR elsewhere)
if(elsewhere)
  set(CAIRN_PC_PREFIX ${CMAKE_INSTALL_PREFIX})
else()
  cmake_path(RELATIVE_PATH CMAKE_INSTALL_PREFIX BASE_DIRECTORY ${CMAKE_INSTALL_PREFIX}/${CAIRN_PC_DIR} OUTPUT_VARIABLE up)
  set(CAIRN_PC_PREFIX "\${pcfiledir}/${up}")
endif()
foreach(name IN ITEMS LIB INCLUDE)
  cmake_path(APPEND CAIRN_PC_${name}DIR "\${prefix}" "${CMAKE_INSTALL_${name}DIR}")
  cmake_path(IS_ABSOLUTE CMAKE_INSTALL_${name}DIR elsewhere)
  if(elsewhere)
    set(CAIRN_PC_${name}DIR ${CMAKE_INSTALL_${name}DIR})
  endif()
endforeach()
set(CAIRN_PC_LIBS -lcairn)
if(NOT BUILD_SHARED_LIBS)
  # Nobody has to say --static where there is nothing else; a C compiler does not think of the C++ runtime.
  list(TRANSFORM cxx_runtime PREPEND -l OUTPUT_VARIABLE runtime)
  string(JOIN " " CAIRN_PC_LIBS -lcairn ${runtime} ${CMAKE_THREAD_LIBS_INIT})
endif()
configure_file(${PROJECT_SOURCE_DIR}/tools/cmake/cairn.pc.in ${PROJECT_BINARY_DIR}/cairn.pc @ONLY)

install(TARGETS cairn EXPORT cairn-targets
  LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR} COMPONENT runtime NAMELINK_COMPONENT dev
  ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR} COMPONENT dev
  FILE_SET HEADERS DESTINATION ${CMAKE_INSTALL_INCLUDEDIR} COMPONENT dev)
install(EXPORT cairn-targets NAMESPACE cairn:: DESTINATION ${package_dir} COMPONENT dev)
install(FILES ${PROJECT_BINARY_DIR}/cairn-config.cmake ${PROJECT_BINARY_DIR}/cairn-config-version.cmake
  DESTINATION ${package_dir} COMPONENT dev)
install(FILES ${PROJECT_BINARY_DIR}/cairn.pc DESTINATION ${CAIRN_PC_DIR} COMPONENT dev)

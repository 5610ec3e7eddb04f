# SPDX-License-Identifier: Apache-2.0
# An overlay port: vcpkg install cairn --overlay-ports=tools/packaging/vcpkg. The sources are the tree around, or where
# CAIRN_SOURCE_DIR says.
if(DEFINED ENV{CAIRN_SOURCE_DIR})
  set(SOURCE_PATH $ENV{CAIRN_SOURCE_DIR})
else()
  cmake_path(SET SOURCE_PATH NORMALIZE "${CMAKE_CURRENT_LIST_DIR}/../../..")
endif()

vcpkg_check_features(OUT_FEATURE_OPTIONS features FEATURES tools CAIRN_BUILD_TOOLS)
vcpkg_cmake_configure(
  SOURCE_PATH "${SOURCE_PATH}"
  OPTIONS
    ${features}
    -DCAIRN_BUILD_TESTS=OFF
    -DCAIRN_BUILD_BENCH=OFF
    -DCAIRN_BUILD_FUZZ=OFF
    -DCAIRN_UNITY=ON)
vcpkg_cmake_install()
vcpkg_cmake_config_fixup(PACKAGE_NAME cairn CONFIG_PATH lib/cmake/cairn)
vcpkg_fixup_pkgconfig()
if("tools" IN_LIST FEATURES)
  vcpkg_copy_tools(TOOL_NAMES cairn AUTO_CLEAN)
endif()
file(REMOVE_RECURSE "${CURRENT_PACKAGES_DIR}/debug/include" "${CURRENT_PACKAGES_DIR}/debug/share")

# What is compiled in has licences, too.
set(licences "${SOURCE_PATH}/LICENSE")
foreach(port IN ITEMS xsimd boost-interprocess xxhash nlohmann-json)
  list(APPEND licences "${CURRENT_INSTALLED_DIR}/share/${port}/copyright")
endforeach()
vcpkg_install_copyright(FILE_LIST ${licences})

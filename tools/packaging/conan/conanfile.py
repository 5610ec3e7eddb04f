# SPDX-License-Identifier: Apache-2.0
"""Cairn for Conan 2:  conan create tools/packaging/conan

The headers of xsimd, Boost, xxHash and nlohmann-json are needed for building alone. They come from Conan, or with
`-o "&:headers=system"` from the system's packages (libxsimd-dev, libboost-dev, libxxhash-dev and nlohmann-json3-dev of Debian).
"""
import os

from conan import ConanFile
from conan.tools.build import check_min_cppstd
from conan.tools.cmake import CMake, CMakeDeps, CMakeToolchain, cmake_layout
from conan.tools.files import copy, rmdir

required_conan_version = ">=2.0"


class CairnConan(ConanFile):
    name = "cairn"
    version = "0.1.0"
    description = "Embeddable vector search: an HNSW graph in one checksummed file that is searched from the memory map"
    license = "Apache-2.0"
    topics = ("hnsw", "ann", "vector-search", "mmap")
    package_type = "library"
    settings = "os", "arch", "compiler", "build_type"
    options = {"shared": [True, False], "headers": ["conan", "system"]}
    default_options = {"shared": False, "headers": "conan"}

    def export_sources(self):
        root = os.path.join(self.recipe_folder, "..", "..", "..")
        for pattern in ("CMakeLists.txt", "LICENSE", "engine/*", "format/*", "simd/*", "tools/cmake/*"):
            copy(self, pattern, root, self.export_sources_folder, excludes="engine/bindings/*")

    def validate(self):
        check_min_cppstd(self, 20)

    def requirements(self):
        if self.options.headers == "conan":
            for package in ("xsimd/8.1.0", "boost/1.83.0", "xxhash/0.8.2", "nlohmann_json/3.11.3"):
                self.requires(package, libs=False, visible=False)

    def configure(self):
        if self.options.headers == "conan":
            self.options["boost"].header_only = True

    def layout(self):
        cmake_layout(self)

    def generate(self):
        toolchain = CMakeToolchain(self)
        toolchain.cache_variables["CAIRN_BUILD_TOOLS"] = False
        toolchain.cache_variables["CAIRN_BUILD_TESTS"] = False
        toolchain.cache_variables["CAIRN_BUILD_BENCH"] = False
        toolchain.cache_variables["CAIRN_BUILD_FUZZ"] = False
        toolchain.cache_variables["CAIRN_UNITY"] = True
        # The headers are found by find_path.
        include = [path for dependency in self.dependencies.host.values() for path in dependency.cpp_info.includedirs]
        if include:
            toolchain.cache_variables["CMAKE_INCLUDE_PATH"] = ";".join(include)
        toolchain.generate()
        CMakeDeps(self).generate()

    def build(self):
        cmake = CMake(self)
        cmake.configure()
        cmake.build()

    def package(self):
        copy(self, "LICENSE", self.source_folder, os.path.join(self.package_folder, "licenses"))
        for dependency in self.dependencies.host.values():
            copy(self, "*", os.path.join(dependency.package_folder, "licenses"),
                 os.path.join(self.package_folder, "licenses", dependency.ref.name))
        if self.options.headers == "system":
            for package in ("libxsimd-dev", "libboost1.74-dev", "libxxhash-dev", "nlohmann-json3-dev"):
                copy(self, "copyright", f"/usr/share/doc/{package}", os.path.join(self.package_folder, "licenses", package))
        CMake(self).install()
        rmdir(self, os.path.join(self.package_folder, "lib", "cmake"))
        rmdir(self, os.path.join(self.package_folder, "lib", "pkgconfig"))
        rmdir(self, os.path.join(self.package_folder, "share"))

    def package_info(self):
        self.cpp_info.libs = ["cairn"]
        self.cpp_info.set_property("cmake_file_name", "cairn")
        self.cpp_info.set_property("cmake_target_name", "cairn::cairn")
        self.cpp_info.set_property("pkg_config_name", "cairn")
        self.cpp_info.system_libs = ["pthread", "m"]

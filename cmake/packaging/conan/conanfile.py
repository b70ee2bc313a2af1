"""Conan 2: conan create cmake/packaging/conan --build=missing"""

import os
import re

from conan import ConanFile
from conan.tools.build import check_min_cppstd
from conan.tools.cmake import CMake, CMakeDeps, CMakeToolchain, cmake_layout
from conan.tools.files import copy, load, rmdir

required_conan_version = ">=2.0"


class LoraConan(ConanFile):
    name = "lora"
    description = "Header-only C++20 templates for LoRA layers on Eigen"
    license = "MIT"
    topics = ("lora", "peft", "eigen", "machine-learning", "header-only")
    package_type = "header-library"
    settings = "os", "arch", "compiler", "build_type"
    # mpi takes the system's, whose mpirun starts the ranks, and no package of Conan's.
    options = {name: [True, False] for name in ("io", "text", "gzip", "mpi")}
    default_options = {"io": True, "text": False, "gzip": False, "mpi": False}
    no_copy_source = True

    def set_version(self):
        text = load(self, os.path.join(self.recipe_folder, "..", "..", "..", "CMakeLists.txt"))
        self.version = re.search(r"project\(lora\s+VERSION ([\d.]+)", text).group(1)

    @property
    def with_io(self):
        return bool(self.options.io or self.options.text or self.options.mpi)

    def export_sources(self):
        root = os.path.join(self.recipe_folder, "..", "..", "..")
        for pattern in ("CMakeLists.txt", "LICENSE", "cmake/*", "include/*"):
            copy(self, pattern, root, self.export_sources_folder)

    def validate(self):
        check_min_cppstd(self, 20)

    def requirements(self):
        self.requires("eigen/3.4.0", transitive_headers=True)
        if self.with_io:
            self.requires("nlohmann_json/3.11.3", transitive_headers=True)
        if self.options.text:
            self.requires("utf8proc/2.8.0", transitive_headers=True, transitive_libs=True)
        if self.options.gzip:
            self.requires("zlib/[>=1.2.11 <2]", transitive_headers=True, transitive_libs=True)

    def package_id(self):
        self.info.settings.clear()  # headers are the same everywhere

    def layout(self):
        cmake_layout(self)

    def generate(self):
        CMakeDeps(self).generate()
        toolchain = CMakeToolchain(self)
        for name in ("TESTS", "EXAMPLES", "BENCHMARKS"):
            toolchain.cache_variables[f"LORA_BUILD_{name}"] = False
        toolchain.cache_variables["LORA_INSTALL"] = True
        toolchain.cache_variables["LORA_IO"] = self.with_io
        toolchain.cache_variables["LORA_TEXT"] = bool(self.options.text)
        toolchain.cache_variables["LORA_GZIP"] = bool(self.options.gzip)
        toolchain.cache_variables["LORA_MPI"] = bool(self.options.mpi)
        toolchain.generate()

    def build(self):
        CMake(self).configure()

    def package(self):
        CMake(self).install()
        copy(self, "LICENSE", self.source_folder, os.path.join(self.package_folder, "licenses"))
        rmdir(self, os.path.join(self.package_folder, "share", "pkgconfig"))  # Conan makes its own

    def package_info(self):
        # The package's own files make its targets, lora::native and OpenMP among them; the components
        # are for generators of other build systems.
        self.cpp_info.set_property("cmake_find_mode", "none")
        self.component("lora", ["eigen::eigen"])
        if self.with_io:
            self.component("io", ["lora", "nlohmann_json::nlohmann_json"])
        if self.options.text:
            self.component("text", ["io", "utf8proc::utf8proc"])
        if self.options.gzip:
            self.component("gzip", ["lora", "zlib::zlib"])
        if self.options.mpi:  # its compiler mpicxx knows the rest
            self.component("mpi", ["io"])
            self.cpp_info.components["mpi"].defines = ["OMPI_SKIP_MPICXX", "MPICH_SKIP_MPICXX"]

    def component(self, name, requires):
        component = self.cpp_info.components[name]
        component.bindirs = component.libdirs = []
        component.builddirs = [os.path.join("share", "cmake", "lora")]
        component.requires = requires
        component.set_property("cmake_target_name", f"lora::{name}")
        component.set_property("pkg_config_name", "lora" if name == "lora" else f"lora-{name}")

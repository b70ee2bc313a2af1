"""Compiles and runs the README's first program with the package, and one of lora::mpi."""

import os

from conan import ConanFile
from conan.tools.build import can_run
from conan.tools.cmake import CMake, CMakeDeps, CMakeToolchain, cmake_layout
from conan.tools.files import load, save


class LoraTest(ConanFile):
    settings = "os", "arch", "compiler", "build_type"

    def requirements(self):
        self.requires(self.tested_reference_str)

    def layout(self):
        cmake_layout(self)

    def generate(self):
        CMakeDeps(self).generate()
        toolchain = CMakeToolchain(self)
        toolchain.user_presets_path = False  # no file beside this one
        toolchain.generate()

    def build(self):
        root = os.path.join(self.recipe_folder, "..", "..", "..", "..")
        program = load(self, os.path.join(root, "README.md")).split("```cpp\n")[1].split("\n```\n")[0]
        save(self, os.path.join(self.build_folder, "program.cpp"), program)
        mpi = load(self, os.path.join(root, "tests", "consume", "mpi_main.cpp"))
        save(self, os.path.join(self.build_folder, "mpi_program.cpp"), mpi)
        cmake = CMake(self)
        cmake.configure()
        cmake.build()

    def test(self):
        if can_run(self):
            self.run(os.path.join(self.cpp.build.bindir, "program"), env="conanrun")
            if self.dependencies[self.tested_reference_str].options.mpi:
                self.run(os.path.join(self.cpp.build.bindir, "mpi_program"), env="conanrun")

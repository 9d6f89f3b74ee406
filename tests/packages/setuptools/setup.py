from setuptools import setup

from libtorch_ffi.build import BuildExt, LibtorchExtension

setup(
    name="twice",
    version="1.0",
    ext_modules=[LibtorchExtension("twice", ["twice.cpp"])],
    cmdclass={"build_ext": BuildExt},
)

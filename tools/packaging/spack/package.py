# A recipe for Spack. To use it from a clone:
#
#   mkdir -p site/packages/kronattn && cp tools/packaging/spack/package.py site/packages/kronattn/
#   printf 'repo:\n  namespace: site\n' > site/repo.yaml && spack repo add site
#   spack install kronattn ^openmpi        (in the clone: spack dev-build kronattn@main)
from spack.package import *


class Kronattn(CMakePackage):
    """Attention and tensor attention of any order over MPI, in time nearly linear in the number of tokens, with a
    proven error on every row."""

    # Where the sources are kept at your site: a folder, or an address that git knows.
    git = "file:///usr/src/kronattn"

    version("main", branch="main")

    variant("tests", default=False, description="Build the tests")
    variant("shared", default=False, description="Build shared libraries")

    depends_on("c", type="build")
    depends_on("cxx", type="build")
    depends_on("cmake@3.22:", type="build")
    depends_on("mpi@3:")
    depends_on("hdf5@1.10:+mpi")
    depends_on("eigen@3.4:")
    depends_on("highway@1:")
    depends_on("boost+program_options")
    depends_on("nlohmann-json@3:")
    depends_on("xxhash")
    depends_on("googletest", when="+tests")
    depends_on("benchmark", when="+tests")

    def cmake_args(self):
        return [self.define_from_variant("KRONATTN_TESTS", "tests"),
                self.define_from_variant("BUILD_SHARED_LIBS", "shared")]

"""`cmake --install`, and programs that use the libraries from there, as a project outside this tree would.

    KRONATTN_BUILD=build/release /usr/bin/python3 -m unittest test_install -v       (in tests/install)
"""
import ast
import os
import pathlib
import platform
import re
import shutil
import subprocess
import tempfile
import unittest

HERE = pathlib.Path(__file__).resolve().parent
TREE = HERE.parents[1]
EXAMPLE = TREE / "tools/examples/library"
CMAKE = os.environ.get("CMAKE", "cmake")


def run(*command):
    outcome = subprocess.run([str(word) for word in command], text=True, stdout=subprocess.PIPE,
                             stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, timeout=600)
    if outcome.returncode != 0:
        raise AssertionError(f"{' '.join(map(str, command))} ended with {outcome.returncode}\n{outcome.stdout}")
    return outcome.stdout


def run_on_ranks(ranks, program):
    environment = dict(os.environ, OMP_NUM_THREADS="2", OMPI_MCA_mpi_yield_when_idle="1")
    if os.geteuid() == 0:
        environment.update(OMPI_ALLOW_RUN_AS_ROOT="1", OMPI_ALLOW_RUN_AS_ROOT_CONFIRM="1")
    return subprocess.run(["mpirun", "--oversubscribe", "--bind-to", "none", "-n", str(ranks), program],
                          env=environment, text=True, capture_output=True, stdin=subprocess.DEVNULL, timeout=120)


class Install(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        folder = tempfile.TemporaryDirectory(prefix="kronattn_install_")  # FindHDF5 stumbles over spaces
        cls.addClassCleanup(folder.cleanup)
        cls.folder = pathlib.Path(folder.name)
        cls.prefix = cls.folder / "prefix"
        run(CMAKE, "--install", os.environ["KRONATTN_BUILD"], "--prefix", cls.prefix)

    def build(self, name, sources, flags=""):
        """Copies the sources out of the tree, builds them there against the installed libraries."""
        source, build = self.folder / name, self.folder / f"{name}-build"
        source.mkdir()
        for file in sources:
            shutil.copy(file, source)
        run(CMAKE, "-S", source, "-B", build, f"-DCMAKE_PREFIX_PATH={self.prefix}", "-DCMAKE_BUILD_TYPE=Release",
            f"-DCMAKE_CXX_FLAGS={flags}")
        run(CMAKE, "--build", build, "--parallel", 2)
        return build

    def test_programs_of_another_instruction_set_get_the_definition_within_the_bound(self):
        other = "-march=x86-64-v2" if platform.machine() == "x86_64" else ""
        consumer = [HERE / name for name in ("CMakeLists.txt", "consumer.cpp", "types.hpp")]
        build = self.build("consumer", consumer + [EXAMPLE / "attention.cpp"], other)
        for ranks in (1, 3):
            with self.subTest(ranks=ranks):
                outcome = run_on_ranks(ranks, build / "consumer")
                self.assertEqual(outcome.returncode, 0, outcome.stdout + outcome.stderr)
                self.assertIn("bounds up to", outcome.stdout)
                if other:
                    self.assertIn("packets of 2 doubles", outcome.stdout)
                outcome = run_on_ranks(ranks, build / "attention")
                self.assertEqual(outcome.returncode, 0, outcome.stdout + outcome.stderr)
                self.assertRegex(outcome.stdout, r"^O\[0,0\] = -?0\.\d{8} \+- \d\.\de-\d\d\n$")

    def test_the_example_is_configured_as_it_stands(self):
        source, build = self.folder / "example", self.folder / "example-build"
        shutil.copytree(EXAMPLE, source)
        run(CMAKE, "-S", source, "-B", build, f"-DCMAKE_PREFIX_PATH={self.prefix}")
        targets = run(CMAKE, "--build", build, "--target", "help")
        self.assertRegex(targets, r"\battention\b")

    def test_the_readme_shows_the_example(self):
        readme = (TREE / "README.md").read_text()
        for name in ("attention.cpp", "CMakeLists.txt"):
            with self.subTest(name):
                shown = (EXAMPLE / name).read_text() in readme
                self.assertTrue(shown, f"README.md does not show tools/examples/library/{name} as it is")

    def test_a_project_without_c_is_told_what_it_needs(self):
        source = self.folder / "without c"
        source.mkdir()
        (source / "CMakeLists.txt").write_text("cmake_minimum_required(VERSION 3.22)\nproject(other LANGUAGES CXX)\n"
                                               "find_package(kronattn REQUIRED)\n")
        with self.assertRaisesRegex(AssertionError, r"LANGUAGES\s+C\s+CXX"):
            run(CMAKE, "-S", source, "-B", source / "build", f"-DCMAKE_PREFIX_PATH={self.prefix}")

    def test_nothing_installed_names_the_source_or_build_tree(self):
        for file in (self.prefix / "lib/cmake/kronattn").glob("*.cmake"):
            with self.subTest(file.name):
                self.assertNotIn(str(TREE), file.read_text())

    def test_headers_stand_in_a_folder_of_their_own(self):
        include = self.prefix / "include"
        self.assertEqual([entry.name for entry in include.iterdir()], ["kronattn"])
        headers = {header.name for header in (include / "kronattn").iterdir()}
        expected = {header.name for folder in ("src", "mpi") for header in (TREE / folder).glob("*.hpp")}
        self.assertEqual(headers, expected | {"version.hpp"})
        for header in (include / "kronattn").iterdir():
            for name in re.findall(r'^#include "(.*)"', header.read_text(), re.MULTILINE):
                self.assertIn(name, headers)

    def test_job_scripts_study_pages_and_module_are_there(self):
        share = self.prefix / "share/kronattn"
        scripts = {path.name for path in (TREE / "jobs").iterdir()}
        self.assertEqual({path.name for path in (share / "jobs").iterdir()}, scripts)
        for path in [*(share / "jobs").glob("*.sbatch"), self.prefix / "bin/kronattn-scaling-study"]:
            self.assertTrue(os.access(path, os.X_OK), path)
        self.assertIn("usage", run(self.prefix / "bin/kronattn-scaling-study", "--help"))
        for page in ("README.md", "user-guide.md"):
            self.assertTrue((self.prefix / "share/doc/kronattn" / page).read_text().startswith("# "))
        version = run(self.prefix / "bin/kronattn", "--version").split()[1]
        module = (share / f"modulefiles/kronattn/{version}.lua").read_text()
        self.assertNotRegex(module, "@[A-Z_]+@")
        self.assertIn('pathJoin(prefix, "bin", "kronattn")', module)

    def test_job_scripts_find_the_installed_program(self):
        script = 'jobs=$1; . "$jobs/environment"; "$KRONATTN" --version'
        environment = {name: value for name, value in os.environ.items() if not name.startswith("KRONATTN")}
        outcome = subprocess.run(["bash", "-c", script, "bash", str(self.prefix / "share/kronattn/jobs")], text=True,
                                 env={**environment, "PATH": "/usr/bin:/bin"}, capture_output=True, timeout=60)
        self.assertRegex(outcome.stdout, r"^kronattn \d", outcome.stderr)

    def test_the_program_runs_from_its_new_place(self):
        self.assertRegex(run(self.prefix / "bin/kronattn", "--version"), r"^kronattn \d+\.\d+\.\d+ ")


class Recipes(unittest.TestCase):
    """What can be said of recipes where nothing builds them: that they are whole, and ask for what the build asks for."""

    PACKAGING = TREE / "tools/packaging"
    # find_package and the like in CMakeLists.txt: the same in Spack; None: comes with the compiler.
    NEEDS = {"MPI": "mpi", "HDF5": "hdf5", "Eigen3": "eigen", "Boost": "boost", "nlohmann_json": "nlohmann-json",
             "OpenMP": None, "Threads": None, "hwy": "highway", "xxhash": "xxhash"}

    def test_the_spack_recipe_needs_what_the_build_finds(self):
        tree = ast.parse((self.PACKAGING / "spack/package.py").read_text())
        (recipe,) = [node for node in tree.body if isinstance(node, ast.ClassDef)]
        calls = [node.value for node in recipe.body if isinstance(node, ast.Expr) and isinstance(node.value, ast.Call)]
        depends = {re.match(r"[a-z0-9-]+", call.args[0].value).group() for call in calls if call.func.id == "depends_on"}
        build = (TREE / "CMakeLists.txt").read_text()
        found = set(re.findall(r"^find_package\((\w+)", build, re.MULTILINE)) | {name for name in ("hwy", "xxhash") if name in build}
        self.assertEqual(found, set(self.NEEDS))
        self.assertLessEqual({name for name in self.NEEDS.values() if name}, depends)
        options = set(re.findall(r'define_from_variant\("(\w+)"', ast.unparse(recipe).replace("'", '"')))
        for option in options:
            self.assertIn(option, build)

    def test_images_run_commands_that_are_there(self):
        docker, apptainer = ((self.PACKAGING / name).read_text() for name in ("Dockerfile", "kronattn.def"))
        steps = re.findall(r"^RUN ((?:.*\\\n)*.*)$", docker, re.MULTILINE)
        steps.append(re.search(r"^%post\n((?:    .*\n)+)", apptainer, re.MULTILINE).group(1))
        self.assertEqual(len(steps), 3)
        for step in steps:
            run("bash", "-n", "-c", step)
            for script in re.findall(r"\btools/[\w-]+", step):
                self.assertTrue(os.access(TREE / script, os.X_OK), script)
        for source in re.findall(r"/src/(\S+)", docker):
            self.assertTrue((TREE / source).exists(), source)

    @unittest.skipUnless(shutil.which("dpkg") and "bookworm" in pathlib.Path("/etc/os-release").read_text(), "Debian 12")
    def test_an_image_has_the_libraries_that_the_program_needs(self):
        lines = (self.PACKAGING / "runtime-packages").read_text().splitlines()
        listed = {line for line in lines if not line.startswith("#")}
        program = pathlib.Path(os.environ["KRONATTN_BUILD"]) / "kronattn"
        needed = set(re.findall(r"NEEDED.*\[(.*)\]", run("readelf", "-d", program)))
        for library, path in re.findall(r"(\S+) => (\S+)", run("ldd", program)):
            if library in needed - {"libc.so.6", "libm.so.6"}:
                owners = run("dpkg", "-S", "*/" + os.path.basename(os.path.realpath(path)))
                packages = {line.split(":")[0] for line in owners.splitlines()}
                self.assertTrue(packages & (listed | {"libgcc-s1", "libopenmpi3"}), library)  # of libstdc++6, openmpi-bin


if __name__ == "__main__":
    unittest.main()

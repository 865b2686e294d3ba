"""Running kronattn from the studies of this folder, and words for what went wrong."""
import json
import os
import pathlib
import shutil
import subprocess

TREE = pathlib.Path(__file__).resolve().parents[2]


class Failure(Exception):
    """One line about what went wrong."""


def find_kronattn():
    """The absolute path of the solver: $KRONATTN, else `kronattn` on the path, else the release build."""
    wanted = os.environ.get("KRONATTN")
    places = [wanted] if wanted else ["kronattn", str(TREE / "build/release/kronattn")]
    for place in places:
        found = shutil.which(place)
        if found:
            return os.path.abspath(found)
    raise Failure(f"no program at {' or '.join(places)}; build it (cmake --preset release && cmake --build --preset "
                  "release) or name it in $KRONATTN")


class Solver:
    """kronattn as one process of some threads. `folder` takes what the processes keep while they run."""

    def __init__(self, folder, threads):
        self.binary, self.folder, self.threads = find_kronattn(), pathlib.Path(folder), threads
        # One process without mpirun starts in a quarter of the time when it looks for no others.
        self.environment = dict(os.environ, OMPI_MCA_ess_singleton_isolated="1", OMPI_MCA_pml="ob1",
                                OMPI_MCA_btl="self", OMPI_MCA_orte_tmpdir_base=str(folder),
                                OMP_NUM_THREADS=str(threads))

    def run(self, *arguments):
        command = [self.binary, *map(str, arguments)]
        outcome = subprocess.run(command, env=self.environment, stdin=subprocess.DEVNULL, capture_output=True, text=True)
        if outcome.returncode == 0:
            return outcome.stdout
        said = [line for line in outcome.stderr.splitlines() if line.startswith("kronattn: ")]
        raise Failure(said[0] if said else f"{' '.join(command)} ended with {outcome.returncode}: {outcome.stderr[-500:]}")

    def report(self, *arguments):
        """Runs a command that can write a report, and returns it."""
        path = self.folder / "report.json"
        self.run(*arguments, "--report", path, "--quiet")
        return json.loads(path.read_text())

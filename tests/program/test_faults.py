"""A small solve in which one call fails, or one rank is killed: at every such point, of every rank.

tests/faults numbers the calls that can fail: MPI's, by whomever they are made, and the system's on the files of the run.
Each run must end, with the right result under its name or with nothing there; where a call failed, with one line that
says so. A run with --resume afterwards has the right bits, at another number of ranks, whatever was left lying about.

Some hundred points are tried, spread over ranks, kinds and calls; all of them, which takes an hour, with
KRONATTN_FAULT_POINTS=all.
"""
import collections
import concurrent.futures
import itertools
import os
import shutil
import unittest

from program import ProgramTest, failure_lines, random_problem, read_result, run, write_problem

LIBRARY = os.environ.get("KRONATTN_FAULTS", "")
POINTS = os.environ.get("KRONATTN_FAULT_POINTS", "340")
KINDS = ("once", "always", "short", "kill")

Point = collections.namedtuple("Point", "ranks rank at name kind")


@unittest.skipUnless(LIBRARY, "needs the library of tests/faults in $KRONATTN_FAULTS")
class Faults(ProgramTest):
    ARGUMENTS = ("--threads", "1", "--method", "polynomial", "--checkpoint-interval", "0")

    def setUp(self):
        super().setUp()
        self.problem = write_problem(self.folder / "problem.h5", *random_problem(2, 300, 700, 3), dtype="f4")
        self.right = self.solve(self.folder, 1).bits()
        self.right_sums = (self.folder / "keys.sums").read_bytes()
        self.forget(self.folder)

    @staticmethod
    def forget(folder):
        for name in ("result.h5", "keys.sums"):
            (folder / name).unlink()

    def solve(self, folder, ranks, *options, **settings):
        """`settings` of the faults; the result where there is no fault, else the outcome."""
        settings = {f"FAULT_{name.upper()}": str(value) for name, value in settings.items()}
        env = {"OMPI_MCA_odls_base_sigkill_timeout": "0", **settings}
        if settings:
            env.update(LD_PRELOAD=LIBRARY, FAULT_PATH=str(folder))
        outcome = run("solve", folder / "problem.h5", "-o", folder / "result.h5", "--report", folder / "report.json",
                      "--save-sums", folder / "keys.sums", *self.ARGUMENTS, *options, ranks=None if ranks == 1 else ranks, env=env, timeout=60)
        if settings:
            return outcome
        self.assert_succeeded(outcome)
        return read_result(folder / "result.h5")

    def points(self):
        """All points of this solve: the calls of each rank, and what can happen at them."""
        for ranks in (1, 2, 3):
            for rank in range(ranks):
                log = self.folder / f"calls.{ranks}.{rank}"
                self.assertEqual(self.solve(self.folder, ranks, log=log, rank=rank).code, 0)
                self.forget(self.folder)
                for line in log.read_text().splitlines():
                    at, name = line.split()
                    for kind in KINDS:
                        writes = name.startswith(("write", "pwrite", "ftruncate", "fallocate"))
                        if (kind == "kill" or kind == "once" and ":" not in name or kind == "always" and writes
                                or kind == "short" and "pwrite" in name):
                            yield Point(ranks, rank, int(at), name, kind)

    def chosen(self, points):
        """Evenly from each kind of call and fault, the rare ones as a whole first."""
        if POINTS == "all":
            return points
        groups = collections.defaultdict(list)
        for point in points:
            groups[point.name, point.kind, point.rank].append(point)
        for group in groups.values():  # the first, the middle one, the quarters, ...
            in_order = sorted(range(len(group)), key=lambda place: f"{place:012b}"[::-1])
            group[:] = [group[place] for place in in_order]
        by_turns = itertools.chain.from_iterable(itertools.zip_longest(*groups.values()))
        return [point for point in by_turns if point][:int(POINTS)]

    def trouble(self, point):
        """What is wrong with how a run ended, or None."""
        folder = self.folder / "-".join(str(part) for part in point)
        folder.mkdir()
        shutil.copy(self.problem, folder)
        try:
            name = {} if point.kind == "kill" else {"name": point.name}
            outcome = self.solve(folder, point.ranks, rank=point.rank, at=point.at, kind=point.kind, **name)
            result = folder / "result.h5"
            if result.exists() and read_result(result).bits() != self.right:
                return f"a wrong result, exit code {outcome.code}"
            if outcome.code == 0 and not result.exists():
                return "no result"
            lines = failure_lines(outcome.stderr)
            if point.kind != "kill" and len(lines) != (outcome.code != 0):
                return f"exit code {outcome.code}, and it says {lines}: {outcome.stderr}"
            if point.kind != "kill" and outcome.code not in (0, 1):
                return f"exit code {outcome.code}: {outcome.stderr}"
            if point.kind == "kill" and outcome.code == 0:
                return "killed, and no failure"
            if self.solve(folder, 1 + point.at % 2, "--resume").bits() != self.right:
                return "other bits of the run that resumes it"
            if (folder / "keys.sums").read_bytes() != self.right_sums:
                return "other key sums of the run that resumes it"
        except AssertionError as error:
            return str(error)
        finally:
            shutil.rmtree(folder)
        return None

    def test_each_fault_ends_in_a_clean_failure_or_the_right_result(self):
        points = self.chosen(list(self.points()))
        self.assertGreater(len(points), 300 if POINTS == "340" else 0)
        with concurrent.futures.ThreadPoolExecutor(6) as pool:
            for point, trouble in zip(points, pool.map(self.trouble, points)):
                with self.subTest(**point._asdict()):
                    self.assertIsNone(trouble)

    def test_what_goes_to_disk_behind_the_work_is_heard_of_when_it_fails(self):
        problem = self.folder / "large.h5"
        self.assert_succeeded(run("generate", "--rows", "800000", "--width", "8", "-o", problem))
        for ranks in (None, 3):
            for rank in range(ranks or 1):
                log = self.folder / f"large.{ranks}.{rank}"
                env = {"LD_PRELOAD": LIBRARY, "FAULT_PATH": "large.out.h5", "FAULT_LOG": str(log), "FAULT_RANK": str(rank),
                       "FAULT_KIND": "once", "FAULT_AT": "1", "FAULT_NAME": "fdatasync"}
                outcome = run("solve", problem, "-o", self.folder / "large.out.h5", "--degree", "1", "--overwrite", ranks=ranks, env=env)
                with self.subTest(ranks=ranks, rank=rank):
                    calls = log.read_text().split()
                    if rank == 0:
                        self.assertEqual(outcome.code, 1)
                        self.assertEqual(len(failure_lines(outcome.stderr)), 1, outcome.stderr)
                        self.assertIn("large.out.h5: can't be brought to disk: Input/output error", outcome.stderr)
                        self.assertEqual(list(self.folder.glob("large.out.h5*")), [])
                        self.assertEqual(calls.count("fdatasync"), 1)  # and none after it has failed
                    else:  # one rank of a host is enough
                        self.assert_succeeded(outcome)
                        (self.folder / "large.out.h5").unlink()
                        self.assertNotIn("fdatasync", calls)


if __name__ == "__main__":
    unittest.main()

"""The job scripts on a real SLURM: restarts at the time limit, by hand and after a lost node, with the bits of a run that was
left alone; cancelling; exit codes; ranks and threads.

    KRONATTN=build/release/kronattn /usr/bin/python3 test_slurm.py -v        (as root, in tests/cluster)

Most of it is waiting, for SLURM to look at the clock or to give up a node, so the scenarios run at the same time. What has
to happen in the middle of a solve finds its ranks frozen there, so that it does not matter how quick the machine is. Exits
with 77 where no such cluster can be.
"""
import concurrent.futures
import json
import os
import pathlib
import resource
import signal
import sys
import tempfile
import time
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "program"))
from hosts import Hosts, NotHere  # noqa: E402
import program  # noqa: E402
from slurm import Slurm  # noqa: E402

JOBS = pathlib.Path(__file__).resolve().parents[2] / "jobs"
SETTINGS = """
. "{jobs}/settings"
export KRONATTN_LAUNCHER={launcher} KRONATTN_GRACE_SECONDS=5 KRONATTN="{binary}"
export OMPI_MCA_mpi_yield_when_idle=1 OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
"""
work_seconds = 8  # of one processor: some checkpoints

cluster = slurm = None


class Work:
    """A folder with two problems: one that the exact method takes some seconds for, and a small one."""

    def __init__(self, folder):
        self.folder = folder
        rows = 60_000
        self.small = self.problem("small", rows)
        begin = processor_seconds()
        self.solve(self.small)
        seconds = max(processor_seconds() - begin - 0.3, 0.05)  # 0.3: what starting takes
        self.large = self.problem("large", round(rows * work_seconds / seconds))

    def problem(self, name, rows):
        path = self.folder / f"{name}.h5"
        # Few keys: many passes of rows, each of which ends with a chance to save, on slow processors, too.
        self.ran(program.run("generate", "--order", 2, "--rows", rows, "--key-rows", 4096, "--width", 8, "-o", path, ranks=None))
        return path

    def solve(self, problem):
        """The bits of a run that nobody interrupts."""
        result = problem.with_suffix(".alone.h5")
        self.ran(program.run("solve", problem, "-o", result, *EXACT, ranks=1, threads=1, timeout=900))
        return program.read_result(result).bits()

    @staticmethod
    def ran(outcome):
        assert outcome.code == 0, outcome.stderr


EXACT = ("--method", "exact", "--checkpoint-interval", "1")


def processor_seconds():
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


class JobScriptsTest(unittest.TestCase):
    """Each scenario has a folder of its own, in which its job is submitted and so leaves its output."""

    @classmethod
    def setUpClass(cls):
        folder = tempfile.TemporaryDirectory(prefix="kronattn-slurm-")
        cls.addClassCleanup(folder.cleanup)
        cls.root = pathlib.Path(folder.name)
        cls.work = Work(cls.root)
        cls.pool = concurrent.futures.ThreadPoolExecutor(12)
        cls.alone = cls.pool.submit(cls.work.solve, cls.work.large)
        scenarios = [name for name in dir(cls) if name.startswith("scenario_")]
        cls.running = {name: cls.pool.submit(getattr(cls(methodName="test_settings"), name))
                       for name in scenarios}

    @classmethod
    def tearDownClass(cls):
        cls.pool.shutdown(cancel_futures=True)

    # ---- what scenarios do

    def submit(self, name, *arguments, launcher="mpirun", script="solve.sbatch"):
        """Submits a job of that scenario: sbatch options, then what follows the script."""
        self.folder = self.root / name
        self.folder.mkdir(exist_ok=True)
        settings = self.folder / "settings"
        settings.write_text(SETTINGS.format(jobs=JOBS, launcher=launcher, binary=program.BINARY))
        options = [a for a in arguments if str(a).startswith("--") and a not in EXACT and "=" in str(a)]
        rest = [a for a in arguments if a not in options]
        return slurm.submit(*options, JOBS / script, *rest, folder=self.folder,
                            environment={"KRONATTN_SETTINGS": str(settings)})

    def result(self):
        return self.folder / "result.h5"

    def said(self, job):
        """What a job has written, both streams."""
        return "".join((self.folder / f"kronattn-{job}.{ending}").read_text() for ending in ("out", "err"))

    def ranks(self):
        """The solver's processes of this scenario, as the machine numbers them."""
        found = []
        for process in pathlib.Path("/proc").glob("[0-9]*"):
            try:
                seen = os.readlink(process / "exe"), os.readlink(process / "cwd")
                if seen == (os.path.realpath(program.BINARY), str(self.folder)):
                    found.append(int(process.name))
            except OSError:
                pass  # gone, or a thread of the kernel
        return found

    def tell_ranks(self, number):
        for rank in self.ranks():
            os.kill(rank, number)

    def freeze(self, job):
        """Stops the job's ranks where they have left a checkpoint; returns how many have not ended."""
        slurm.until(lambda: slurm.job(job)["JobState"] != "PENDING", 600, f"job {job} starts")  # others may be first
        slurm.until(lambda: list(self.folder.glob("result.h5.partial.*checkpoint*")), 120,
                    f"a checkpoint of job {job} {slurm.job(job)}")
        self.tell_ranks(signal.SIGSTOP)
        return len(self.ranks())

    def thaw(self):
        self.tell_ranks(signal.SIGCONT)

    def assert_as_alone(self):
        self.assertEqual(program.read_result(self.result()).bits(), self.alone.result())
        self.assertEqual(list(self.folder.glob("result.h5.partial*")), [])

    def assert_restarted_and_completed(self, job):
        ended = slurm.wait(job, "COMPLETED", "FAILED", "CANCELLED", "TIMEOUT", "NODE_FAIL", seconds=600)
        self.assertEqual((ended["JobState"], ended["ExitCode"]), ("COMPLETED", "0:0"), self.said(job))
        self.assertGreaterEqual(int(ended["Restarts"]), 1, self.said(job))
        self.assertIs(program.read_result(self.result()).report["run"]["resumed"], True)

    # ---- scenarios

    def scenario_time_limit(self):
        # A minute's limit, and the signal a minute ahead of it: when SLURM looks for the first time, within 30 seconds.
        job = self.submit("time", "--nodelist=n1,n2", "--nodes=2", "--ntasks-per-node=1", "--time=1", "--signal=B:USR1@60",
                          self.work.large, "-o", "result.h5", *EXACT)
        self.freeze(job)  # unless SLURM has looked by now, and they are gone
        slurm.until(lambda: "Forwarding signal 10" in self.said(job), 120, "mpirun forwards the signal")
        self.thaw()
        self.assert_restarted_and_completed(job)
        self.assert_as_alone()
        self.assertIn("goes back to the queue", self.said(job))

    def scenario_signal_by_hand(self):
        job = self.submit("hand", "--nodelist=n1,n2", "--nodes=2", "--ntasks-per-node=2", self.work.large, "-o",
                          "result.h5", *EXACT, launcher="srun")
        self.assertEqual(self.freeze(job), 4)
        slurm.run("scancel", "--batch", "--signal=USR1", job)
        self.thaw()
        self.assert_restarted_and_completed(job)
        self.assert_as_alone()

    def scenario_cancel(self):
        for launcher in ("mpirun", "srun"):
            with self.subTest(launcher):
                job = self.submit(f"cancel {launcher}", "--nodelist=n1,n2", "--ntasks=2", self.work.large, "-o", "result.h5",
                                  *EXACT, launcher=launcher)
                self.assertEqual(self.freeze(job), 2)
                before = set(self.folder.glob("result.h5.partial*"))
                slurm.run("scancel", job)  # goes on with what is frozen, too
                self.assertEqual(slurm.wait(job, "CANCELLED", "PENDING")["JobState"], "CANCELLED")
                slurm.until(lambda: not slurm.run("squeue", "-h", "-j", job, check=False).stdout, 60,
                            "the job has left the queue")
                time.sleep(8)  # a requeued job would be back
                ended = slurm.job(job)
                self.assertEqual((ended["JobState"], ended["Restarts"]), ("CANCELLED", "0"), self.said(job))
                self.assertFalse(self.result().exists())
                self.assertTrue(before, self.said(job))
        # Whoever wants it after all submits it again, here with another number of ranks.
        again = self.submit("cancel mpirun", "--nodelist=n2", "--ntasks=1", self.work.large, "-o", "result.h5", "--resume",
                            *EXACT, launcher="srun")
        self.assertEqual(slurm.wait(again, "COMPLETED", "FAILED")["JobState"], "COMPLETED", self.said(again))
        self.assertIs(program.read_result(self.result()).report["run"]["resumed"], True)
        self.assert_as_alone()

    def scenario_lost_node(self):
        job = self.submit("lost", "--nodelist=n3,n4", "--nodes=2", "--ntasks-per-node=1", self.work.large, "-o",
                          "result.h5", *EXACT)
        self.assertEqual(self.freeze(job), 2)
        cluster.power_off("n4")
        self.thaw()
        slurm.wait(job, "PENDING", seconds=180)
        cluster.start("n4")
        slurm.start_node("n4")
        self.assert_restarted_and_completed(job)
        self.assert_as_alone()

    def scenario_exit_codes(self):
        for arguments, code in ((("missing.h5", "-o", "result.h5"), 1),
                                ((self.work.large, "-o", "result.h5", "--epsilon", "2"), 2),
                                ((self.work.large, "-o", "result.h5", "--max-seconds", "0.5", *EXACT), 75)):
            for launcher in ("mpirun", "srun"):
                job = self.submit("codes", "--nodelist=n1,n2", "--nodes=2", "--ntasks-per-node=1", *arguments,
                                  launcher=launcher)
                ended = slurm.wait(job, "FAILED", "COMPLETED")
                self.assertEqual((ended["JobState"], ended["ExitCode"], ended["Restarts"]), ("FAILED", f"{code}:0", "0"))
                self.assertEqual(len(program.failure_lines(self.said(job))), 1, self.said(job))
                for left in self.folder.glob("result.h5.partial*"):
                    left.unlink()

    def scenario_ranks_and_threads(self):
        for launcher in ("mpirun", "srun"):
            job = self.submit("hybrid", "--nodelist=n1,n2", "--nodes=2", "--ntasks-per-node=1", "--cpus-per-task=3",
                              self.work.small, "-o", f"{launcher}.h5", launcher=launcher)
            self.assertEqual(slurm.wait(job, "COMPLETED", "FAILED")["JobState"], "COMPLETED", self.said(job))
            run = program.read_result(self.folder / f"{launcher}.h5").report["run"]
            self.assertEqual((run["ranks"], run["threads"], run["hosts"]), (2, 3, 2))

    def scenario_scaling(self):
        for name, launcher in (("strong", "mpirun"), ("weak", "srun")):
            job = self.submit("scaling", "--nodelist=n1,n2", "--nodes=2", "--ntasks-per-node=1", "--array=1,2,3", "study",
                              "--quick", "--orders", "2", "--rows", "2000", "--repeats", "2", script=f"scaling-{name}.sbatch",
                              launcher=launcher)
            slurm.until(lambda: not slurm.run("squeue", "-h", "-j", job, check=False).stdout, 120, f"array {job} done")
            told = {index: (self.folder / f"kronattn-{name}-{job}_{index}.err").read_text() for index in (1, 2, 3)}
            self.assertRegex(told[3], "^kronattn: .*element 3 wants 3 ranks, the allocation has 2")
            self.assertEqual((told[1], told[2]), ("", ""))
            samples = [json.loads(line) for path in (self.folder / "study").glob("samples-*.jsonl")
                       for line in path.read_text().splitlines()]
            found = sorted((s["rows"], s["run"]["ranks"], s["run"]["hosts"]) for s in samples if s["study"] == name)
            rows = 2000 if name == "strong" else 4000
            self.assertEqual(found, [(2000, 1, 1)] * 2 + [(rows, 2, 2)] * 2)

    def scenario_settings(self):
        job = self.submit("settings", "--nodelist=n1", "--ntasks=1", self.work.small, "-o", "result.h5",
                          launcher="rsh")
        self.assertEqual(slurm.wait(job, "FAILED", "COMPLETED")["ExitCode"], "1:0")
        self.assertRegex(self.said(job), "^kronattn: .*KRONATTN_LAUNCHER is rsh; need mpirun or srun\n$")
        # Account, partition and the like: from the shell that submits.
        shell = slurm.run("bash", "-c", f'SBATCH_COMMENT=for-nothing; . "{JOBS}/settings"; export SBATCH_COMMENT '
                          f'SBATCH_JOB_NAME=named; sbatch --parsable --ntasks=1 "{JOBS}/solve.sbatch"', folder=self.folder)
        named = shell.stdout.strip()
        slurm.wait(named, "FAILED")
        self.assertEqual(slurm.job(named)["JobName"], "named")
        self.assertTrue((self.folder / f"named-{named}.err").exists())

    # ---- tests

    def test_a_job_that_meets_its_time_limit_comes_back_until_it_is_done(self):
        self.running["scenario_time_limit"].result()

    def test_a_job_that_gets_a_signal_by_hand_comes_back_and_resumes(self):
        self.running["scenario_signal_by_hand"].result()

    def test_a_cancelled_job_stays_down_and_can_be_resumed(self):
        self.running["scenario_cancel"].result()

    def test_a_job_that_loses_a_node_comes_back_and_resumes(self):
        self.running["scenario_lost_node"].result()

    def test_a_job_ends_with_the_code_of_the_solver(self):
        self.running["scenario_exit_codes"].result()

    def test_ranks_and_threads_are_those_of_the_allocation(self):
        self.running["scenario_ranks_and_threads"].result()

    def test_scaling_arrays_measure_a_number_of_ranks_each(self):
        self.running["scenario_scaling"].result()

    def test_settings(self):
        self.running["scenario_settings"].result()


if __name__ == "__main__":
    try:
        with Hosts(4) as cluster, Slurm(cluster) as slurm:
            unittest.main(exit=False).result.wasSuccessful() or sys.exit(1)
    except NotHere as reason:
        print(f"skipped: {reason}")
        sys.exit(77)

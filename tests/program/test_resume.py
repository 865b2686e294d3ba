"""Runs that are stopped or killed, and the runs that go on from what they left.

stop_at.cpp, loaded before the program, raises a signal on one rank just before its N-th reduction over all ranks, so that
every point of a run can be named. What a resumed run writes is compared bit for bit with an undisturbed one of another number
of ranks.
"""
import json
import os
import signal
import shutil
import subprocess
import time
import unittest

import h5py
import numpy as np

from program import (BINARY, ProgramTest, failure_lines, random_problem, read_result, run, write_problem)

STOP_AT = os.environ.get("STOP_AT")


def huge_rows(problem, every=100, factor=100):
    """A few rows with large scores among many with small ones: the former miss the promise at the planned degree."""
    problem.queries[..., ::every, :] *= factor
    return problem


# Name, problem, options, ranks, ranks that go on, points tried. Small steps would need large problems; what counts is that all
# kinds of rounds are met: sums, rows, raised rows, exact rows, several heads.
PROBLEMS = {
    "polynomial": (lambda: random_problem(2, 150_000, 120_000, 8, 8), ("--method", "polynomial", "--epsilon", "1e-3"), 2, 3),
    "exact": (lambda: random_problem(2, 100_000, 1500, 4, 2), ("--method", "exact"), 2, 3),
    # One pass, saved while it goes: some seconds, since a step is many keys. As many rows as a pass takes on each of two ranks
    # are two flights on one rank.
    "one pass": (lambda: random_problem(3, 32, (8000, 6000), 4, 2), ("--method", "exact"), 2, 3),
    "wide pass": (lambda: random_problem(3, 2700, (600, 600), 4, 2), ("--method", "exact"), 2, 1),
    "mixed": (lambda: huge_rows(random_problem(3, 20_000, (600, 700), 4, 3)), (), 2, 3),
    "two heads": (lambda: huge_rows(random_problem(2, 30_000, 20_000, 4, 3, heads=2), 500, 20), (), 3, 2),
}


class ResumeTest(ProgramTest):
    def setUp(self):
        super().setUp()
        self.problem = self.folder / "problem.h5"
        self.result = self.folder / "result.h5"

    def leftovers(self):
        return sorted(path.name for path in self.folder.glob("*.partial*"))

    def solve(self, *options, ranks=2, **more):
        return run("solve", self.problem, "-o", self.result, *options, ranks=ranks, threads=1, **more)

    def stop_at(self, call, rank, number, *options, ranks=2):
        """A run with a checkpoint at every step, in which `rank` gets signal `number` before its `call`-th reduction."""
        return self.solve(*options, "--checkpoint-interval", 0, ranks=ranks,
                          env={"LD_PRELOAD": STOP_AT, "STOP_AT_CALL": str(call), "STOP_AT_RANK": str(rank),
                               "STOP_AT_SIGNAL": str(int(number)),
                               "OMPI_MCA_odls_base_sigkill_timeout": "0"})  # mpirun need not wait afterwards

    def reductions(self, *options, ranks):
        """Of an undisturbed run: its result and how often its ranks meet."""
        count = self.folder / "count"
        self.assert_succeeded(self.solve(*options, "--checkpoint-interval", 0, ranks=ranks,
                                         env={"LD_PRELOAD": STOP_AT, "STOP_AT_COUNT": str(count)}))
        result = read_result(self.result)
        self.result.unlink()
        return result, int(count.read_text())

    def stopped(self, early=False):
        """Leaves the checkpoints of a run of the present problem that was stopped at the first step that is saved, before rows
        are written, or at the last."""
        _, calls = self.reductions(ranks=2)
        for call in range(calls // 4, calls, 3) if early else range(calls - 10, 1, -4):
            outcome = self.stop_at(call, 0, signal.SIGUSR1)
            if outcome.code == 75 and [name for name in self.leftovers() if "checkpoint" in name]:
                return
            for path in self.folder.glob("result.h5*"):
                path.unlink()
        self.fail("no run left a checkpoint")


@unittest.skipUnless(STOP_AT, "STOP_AT does not name the library of stop_at.cpp")
class Points(ResumeTest):
    def assert_resumes(self, name, number, points):
        """Stopped or killed at so many points, most of them behind the measurement, each time on another rank: a resumed run
        has the same bits."""
        make, options, ranks, more_ranks = PROBLEMS[name]
        write_problem(self.problem, *make())
        whole, calls = self.reductions(*options, ranks=ranks)
        resumed = 0
        for point in range(points):
            call = calls // 3 + (calls - calls // 3) * point // points
            with self.subTest(name, signal=number.name, call=call, of=calls):
                ended = self.stop_at(call, point % ranks, number, *options, ranks=ranks)
                if number == signal.SIGKILL:
                    self.assertEqual(ended.code, 137, ended.stderr)
                elif ended.code != 0:  # the last points may be behind the last step
                    self.assert_failed(ended, 75, "stopped by " + number.name, "--resume")
                    self.assertFalse(self.result.exists())
                complete = self.result.exists()
                had = [found for found in self.leftovers() if "checkpoint" in found]
                outcome = self.solve(*options, "--resume", ranks=more_ranks)
                self.assert_succeeded(outcome)
                self.assertRegex(outcome.stderr, "note: .*already; nothing is done" if complete else
                                 "note: going on from" if had else "note: there is no checkpoint")
                result = read_result(self.result)
                self.assertEqual(result.bits(), whole.bits())
                self.assertEqual(result.report["certificate"], whole.report["certificate"])
                for key in ("method", "degree", "rank", "mean_row_rank"):
                    self.assertEqual(result.report["plan"][key], whole.report["plan"][key])
                self.assertEqual(result.report["run"]["resumed"], bool(had) and not complete)
                resumed += result.report["run"]["resumed"]
                if had and not complete:
                    self.assertEqual(self.leftovers(), [])
                for path in self.folder.glob("result.h5*"):
                    path.unlink()
        self.assertGreater(resumed, points // 3)

    def test_polynomial_runs_that_are_stopped(self):
        self.assert_resumes("polynomial", signal.SIGUSR1, 6)

    def test_polynomial_runs_that_are_killed(self):
        self.assert_resumes("polynomial", signal.SIGKILL, 5)

    def test_exact_runs_that_are_stopped(self):
        self.assert_resumes("exact", signal.SIGTERM, 6)

    def test_exact_runs_in_one_pass_that_are_stopped(self):
        self.assert_resumes("one pass", signal.SIGUSR1, 4)

    def test_exact_runs_in_one_pass_that_are_killed(self):
        self.assert_resumes("one pass", signal.SIGKILL, 4)

    def about_the_checkpoint(self):
        """What `info` says of the one that the last run left."""
        report = self.folder / "info.json"
        paths = sorted(self.folder.glob("*.checkpoint*"), key=lambda path: path.stat().st_mtime_ns)
        if not paths:
            return {"rows_in_flight": 0}
        outcome = run("info", paths[-1], "--report", report, ranks=None)
        self.assert_succeeded(outcome)
        self.assertRegex(outcome.stdout, r"a checkpoint, written by kronattn .*\n  saved \d{4}-.*, for CPUs with")
        return json.loads(report.read_text())[0]

    def assert_keys_do_not_pass_again(self, name, rows):
        make, options, ranks, more_ranks = PROBLEMS[name]
        write_problem(self.problem, *make())
        whole, calls = self.reductions(*options, ranks=ranks)
        for call in range(calls // 5, calls, 4):  # until the first step of the pass is met
            self.assert_failed(self.stop_at(call, 0, signal.SIGUSR1, *options, "--resume", ranks=ranks), 75)
            first = self.about_the_checkpoint()
            if first["rows_in_flight"] > 0:
                break
        self.assertEqual((first["rows_in_flight"], first["rows_done"]), (rows, 0))
        self.assert_failed(self.solve(*options, "--resume", "--max-seconds", "1e-9", ranks=more_ranks), 75)
        second = self.about_the_checkpoint()
        self.assertEqual((second["rows_in_flight"], second["rows_done"]), (rows, 0))
        self.assertGreater(second["share_of_keys_behind"], first["share_of_keys_behind"])
        self.assert_succeeded(self.solve(*options, "--resume", ranks=4 - more_ranks))
        self.assertEqual(read_result(self.result).bits(), whole.bits())
        self.assertEqual(self.leftovers(), [])

    def test_keys_that_are_behind_rows_in_flight_do_not_pass_again(self):
        self.assert_keys_do_not_pass_again("one pass", 32)

    def test_rows_in_flight_of_many_ranks_can_go_on_in_turn_on_one(self):
        self.assert_keys_do_not_pass_again("wide pass", 2700)

    def test_mixed_runs_that_are_stopped(self):
        self.assert_resumes("mixed", signal.SIGINT, 8)

    def test_mixed_runs_that_are_killed(self):
        self.assert_resumes("mixed", signal.SIGKILL, 6)

    def test_several_heads_that_are_stopped(self):
        self.assert_resumes("two heads", signal.SIGUSR1, 7)

    def test_a_run_may_be_stopped_again_and_again(self):
        make, options, _, _ = PROBLEMS["two heads"]
        write_problem(self.problem, *make())
        whole, calls = self.reductions(*options, ranks=2)
        for number in range(40):
            outcome = self.stop_at(calls // 2, 0, signal.SIGUSR1, *options, "--resume", ranks=1 + number % 3)
            if outcome.code == 0:
                break
            self.assert_failed(outcome, 75)
            runs = {name.split(".checkpoint")[0] for name in self.leftovers()}
            self.assertLessEqual(len(runs), 2, "runs that were gone on from pile up")
        else:
            self.fail("the run never came to an end")
        self.assertGreater(number, 0)
        self.assertEqual(read_result(self.result).bits(), whole.bits())
        self.assertEqual(self.leftovers(), [])


@unittest.skipUnless(STOP_AT, "STOP_AT does not name the library of stop_at.cpp")
class Belief(ResumeTest):
    """Which checkpoints are gone on from."""

    def setUp(self):
        super().setUp()
        self.given = random_problem(2, 20_000, 10_000, 4, 3)
        write_problem(self.problem, *self.given)
        self.assert_succeeded(self.solve())
        self.whole = read_result(self.result)
        self.result.unlink()

    def checkpoints(self):
        return sorted(self.folder.glob("*.checkpoint?"), key=lambda path: path.stat().st_mtime_ns)

    def assert_goes_on(self, *options, resumed=True, ranks=3):
        outcome = self.solve(*options, "--resume", ranks=ranks)
        self.assert_succeeded(outcome)
        result = read_result(self.result)
        self.assertEqual(result.bits(), self.whole.bits())
        self.assertEqual(result.report["run"]["resumed"], resumed)
        return outcome

    def test_there_is_none(self):
        self.assertRegex(self.assert_goes_on(resumed=False).stderr, "note: there is no checkpoint.*starts over")

    def test_one_of_other_options_is_an_error_that_says_which(self):
        self.stopped()
        left = self.leftovers()
        for options, pattern in ((("--epsilon", "1e-7"), "epsilon is 1e-06 there and 1e-07 here"),
                                 (("--method", "exact"), "method"), (("--degree", 3), "degree"),
                                 (("--scale", "0.3"), "scale"), (("--coordinates", "off"), "coordinates"),
                                 (("--precision", "single"), "precision"),
                                 (("--output-precision", "single"), "output precision")):
            with self.subTest(options=options):
                self.assert_failed(self.solve(*options, "--resume"), 1, pattern, "checkpoint")
                self.assertEqual(self.leftovers(), left)
        self.assert_goes_on()

    def test_one_of_another_problem_is_an_error(self):
        self.stopped()
        write_problem(self.problem, *random_problem(2, 20_000, 10_000, 4, 3, seed=2))  # size and shape are the same
        self.assert_failed(self.solve("--resume"), 1, "another problem")
        write_problem(self.problem, *random_problem(2, 20_000, 9_000, 4, 3))
        self.assert_failed(self.solve("--resume"), 1, "keys is")
        self.assertFalse(self.result.exists())

    def test_a_copy_of_the_problem_is_the_problem(self):
        self.stopped()
        shutil.copyfile(self.problem, self.folder / "copy.h5")  # with another date
        os.replace(self.folder / "copy.h5", self.problem)
        self.assert_goes_on()

    def test_a_change_that_keeps_size_and_date_is_noticed_at_the_end(self):
        self.stopped(early=True)
        status = os.stat(self.problem)
        with h5py.File(self.problem, "r+") as file:
            file["Q"][1000, 0] += 0.01  # a row that no sample holds
        os.utime(self.problem, ns=(status.st_atime_ns, status.st_mtime_ns))
        self.assert_failed(self.solve("--resume"), 1, "changed while it was being solved")
        self.assertFalse(self.result.exists())

    def test_a_torn_one_is_passed_over_for_the_one_before_it(self):
        self.stopped()
        older, newest = self.checkpoints()
        newest.write_bytes(newest.read_bytes()[:-1])
        outcome = self.assert_goes_on()
        self.assertRegex(outcome.stderr, f"{newest.name}: is torn.*passed over")
        self.assertIn("going on from " + str(older), outcome.stderr)

    def test_only_torn_ones_are_none(self):
        self.stopped()
        for path in self.checkpoints():
            data = bytearray(path.read_bytes())
            data[len(data) // 2] ^= 1
            path.write_bytes(data)
        self.assertRegex(self.assert_goes_on(resumed=False).stderr, "there is no checkpoint")

    def test_one_whose_rows_are_gone_or_changed_is_passed_over(self):
        for change in ("gone", "changed"):
            with self.subTest(change):
                self.stopped()
                if change == "changed":  # an older checkpoint may speak of no rows yet
                    self.checkpoints()[0].unlink()
                [rows] = [path for path in self.folder.glob("*.partial.*") if "checkpoint" not in path.name]
                if change == "gone":
                    rows.unlink()
                else:
                    with h5py.File(rows, "r+") as file:
                        file["log_normalizer"][...] += 1
                self.assertRegex(self.assert_goes_on(resumed=False).stderr, "its rows are not in")
                for path in self.folder.glob("result.h5*"):
                    path.unlink()

    def test_without_resume_they_are_named_and_left(self):
        self.stopped()
        left = self.leftovers()
        outcome = self.solve()
        self.assert_succeeded(outcome)
        for name in left:
            self.assertIn(name, outcome.stderr)
        self.assertEqual(self.leftovers(), left)
        self.assertEqual(read_result(self.result).bits(), self.whole.bits())

    def test_a_complete_result_is_left_as_it_is(self):
        self.assert_succeeded(self.solve())
        before = self.result.stat()
        for change in ("none", "another date"):
            with self.subTest(change):
                if change == "another date":
                    os.utime(self.problem)
                outcome = self.solve("--resume")
                self.assert_succeeded(outcome)
                self.assertRegex(outcome.stderr, "complete result.*already; nothing is done")
                self.assertEqual(self.result.stat().st_mtime_ns, before.st_mtime_ns)
        self.assert_failed(self.solve("--resume", "--epsilon", "1e-5"), 1, "exists; need --overwrite")
        write_problem(self.problem, *random_problem(2, 20_000, 10_000, 4, 3, seed=2))
        self.assert_failed(self.solve("--resume"), 1, "exists; need --overwrite")
        self.assertEqual(self.result.stat().st_mtime_ns, before.st_mtime_ns)


class Stopping(ResumeTest):
    def test_max_seconds_of_almost_nothing_stops_a_run_that_can_be_started_again(self):
        write_problem(self.problem, *random_problem(2, 3000, 2000, 4))
        self.assert_failed(self.solve("--max-seconds", "1e-9"), 75, "stopped by --max-seconds", "--resume")
        self.assertEqual(self.leftovers(), [])
        self.assert_succeeded(self.solve("--resume"))

    def test_a_long_run_stops_soon_after_a_signal_to_mpirun_or_its_time_and_goes_on(self):
        write_problem(self.problem, *random_problem(3, 3000, (40_000, 30_000), 8))  # hours, exactly
        for how in ("SIGUSR1", "--max-seconds"):
            with self.subTest(how):
                command = ["mpirun", "--oversubscribe", "--bind-to", "none", "-n", "2", BINARY, "solve", self.problem, "-o",
                           self.result, "--method", "exact", "--resume"]
                command += ["--max-seconds", "4"] if how == "--max-seconds" else []
                environment = dict(os.environ, OMPI_MCA_mpi_yield_when_idle="1", OMP_NUM_THREADS="1",
                                   OMPI_ALLOW_RUN_AS_ROOT="1", OMPI_ALLOW_RUN_AS_ROOT_CONFIRM="1")
                process = subprocess.Popen([str(word) for word in command], env=environment, text=True,
                                           stdout=subprocess.PIPE, stderr=subprocess.PIPE)
                try:
                    if how == "SIGUSR1":
                        while not list(self.folder.glob("*.partial.lock")):
                            time.sleep(0.1)
                        time.sleep(2)
                        process.send_signal(signal.SIGUSR1)
                    _, stderr = process.communicate(timeout=60)
                finally:
                    process.terminate()
                self.assertEqual(process.returncode, 75, stderr)
                [line] = failure_lines(stderr)
                self.assertRegex(line, f"stopped by {how}; run the same command with --resume")
                self.assertFalse(self.result.exists())

    @unittest.skipUnless(STOP_AT, "STOP_AT does not name the library of stop_at.cpp")
    def test_a_run_in_which_nothing_moves_ends_itself_and_can_be_gone_on_from(self):
        write_problem(self.problem, *random_problem(2, 3000, 2000, 4))
        whole, calls = self.reductions(ranks=2)
        # Rank 1 stands still where it is, as behind a cut link.
        outcome = self.stop_at(calls * 2 // 3, 1, signal.SIGSTOP, "--watchdog", 3)
        self.assert_failed(outcome, 1, "nothing has moved for 3 seconds in step [a-z ]+: rank 0 waits for other ranks", "--resume")
        self.assertFalse(self.result.exists())
        self.assert_succeeded(self.solve("--resume"))
        self.assertEqual(read_result(self.result).bits(), whole.bits())

    def test_a_second_run_to_the_same_output_leaves(self):
        write_problem(self.problem, *random_problem(2, 3000, 2000, 4))
        lock = open(str(self.result) + ".partial.lock", "w")
        import fcntl
        fcntl.flock(lock, fcntl.LOCK_EX)
        lock.write(json.dumps({"host": "elsewhere", "process": 7, "job": "88", "restarts": 0}))
        lock.flush()
        self.assert_failed(self.solve(), 1, "another run writes to it", "process 7 on elsewhere")
        self.assert_failed(self.solve(env={"SLURM_JOB_ID": "88", "SLURM_RESTART_COUNT": "0"}), 1, "another run")
        self.assert_failed(self.solve(env={"SLURM_JOB_ID": "89", "SLURM_RESTART_COUNT": "1"}), 1, "another run")
        self.assert_succeeded(self.solve(env={"SLURM_JOB_ID": "88", "SLURM_RESTART_COUNT": "1"}))
        lock.close()


if __name__ == "__main__":
    unittest.main()

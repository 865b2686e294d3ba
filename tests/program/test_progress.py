"""Progress and log levels: what a run says of itself while it works, on a terminal, in a log, and not at all."""
import os
import pty
import re
import subprocess
import time
import unittest

import h5py
import numpy as np

from program import BINARY, ProgramTest, random_problem, run, side_by_side, write_problem

SHOWN = r"exact( \(head \d of 2\))? +\d+%, [\d.e+]+ rows/s, \d+ (s|min) left"


def read_all(descriptor, at_first_output=None):
    """What comes out of a terminal until its last user has gone."""
    data = b""
    try:
        while piece := os.read(descriptor, 4096):
            if not data and at_first_output:
                at_first_output()
            data += piece
    except OSError:
        pass
    return data.decode()


def screen(written):
    """The lines of a terminal after all that was written: a carriage return goes back, what follows overwrites."""
    lines = []
    for line in written.replace("\r\n", "\n").split("\n"):
        shown = ""
        for part in line.split("\r"):
            shown = part + shown[len(part):]
        lines.append(shown.rstrip())
    return "\n".join(lines)


class ProgressTest(ProgramTest):
    def setUp(self):
        super().setUp()
        self.problem, self.result = self.folder / "problem.h5", self.folder / "result.h5"

    def write(self, rows, heads=None):
        write_problem(self.problem, *random_problem(2, rows, rows, 8, heads=heads))

    def command(self, *options):
        return [BINARY, "solve", self.problem, "-o", self.result, "--method", "exact", "--threads", "1", *options]

    def on_a_terminal(self, *options, at_first_output=None):
        """Exit code, stdout, and what a terminal got from stderr."""
        outside, inside = pty.openpty()
        process = subprocess.Popen(self.command(*options), stdout=subprocess.PIPE, stderr=inside, text=True)
        os.close(inside)
        written = read_all(outside, at_first_output)
        os.close(outside)
        stdout, _ = process.communicate()
        return process.returncode, stdout, written

    def test_a_terminal_has_one_live_line_that_is_gone_at_the_end(self):
        self.write(30000, heads=2)  # a second or more
        code, stdout, written = self.on_a_terminal()
        self.assertEqual(code, 0, written)
        self.assertRegex(written, "\r" + SHOWN)
        self.assertNotIn("\n", written)
        self.assertEqual(screen(written), "")
        self.assertIn("guaranteed", stdout)

    def test_a_failure_stands_on_a_line_of_its_own(self):
        self.write(30000, heads=2)
        with h5py.File(self.problem, "r") as file:
            begin = file["Q"].id.get_offset() + file["Q"][0].nbytes

        def change_the_last_head():
            with open(self.problem, "r+b") as file:
                file.seek(begin)
                file.write(np.float64(0.5).tobytes())

        code, _, written = self.on_a_terminal(at_first_output=change_the_last_head)
        self.assertEqual(code, 1)
        self.assertRegex(written, "\r" + SHOWN)
        self.assertRegex(screen(written), r"\Akronattn: .* changed .*\n\Z")

    def test_a_log_gets_a_line_after_ten_seconds(self):
        self.write(200000)  # minutes: it is stopped after its first line
        begin = time.monotonic()
        process = subprocess.Popen(self.command(), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        try:
            line = process.stderr.readline()
        finally:
            process.kill()
            process.communicate()
        self.assertRegex(line, rf"\Aprogress: {SHOWN}\n\Z")
        self.assertGreater(time.monotonic() - begin, 9.9)

    def test_each_level_says_more_than_the_one_before(self):
        write_problem(self.problem, *random_problem(2, 30, 20, 3))
        solve = ("solve", self.problem, "-o", self.result, "--overwrite")
        said = {}
        for options in (("--quiet",), ("--log-level", "quiet"), ("--quiet", "--log-level", "debug"),
                        ("--log-level", "warning"), (), ("--log-level", "info"), ("--log-level", "debug")):
            outcome = run(*solve, *options, ranks=2)
            self.assert_succeeded(outcome)
            said[options] = re.sub(r"[\d.]+(e[-+]\d+)?", "N", outcome.stdout), outcome.stderr
        nothing, summary = ("", ""), said[()]
        self.assertIn("guaranteed", summary[0])
        for options, expected in (("--quiet",), nothing), (("--log-level", "quiet"), nothing), \
                                 (("--quiet", "--log-level", "debug"), nothing), (("--log-level", "warning"), nothing), \
                                 (("--log-level", "info"), (summary[0], "")):
            self.assertEqual(said[options], expected, options)
        stdout, stderr = said["--log-level", "debug"]
        self.assertEqual(stdout, summary[0])
        steps = re.findall(r"^debug: (.*) took [\d.e-]+ s$", stderr, re.M)
        self.assertEqual(steps, ["measure", "exact", "check what is written"])
        self.assertEqual(len(stderr.splitlines()), len(steps))

    def test_every_command_has_the_levels(self):
        write_problem(self.problem, *random_problem(2, 30, 20, 3))
        self.assert_succeeded(run("solve", self.problem, "-o", self.result, "--method", "polynomial", ranks=None))
        commands = {"generate": (("--rows", 9, "--width", 2, "--overwrite", "-o", self.folder / "new.h5"), "generate"),
                    "plan": ((self.problem,), "measure"), "verify": ((self.problem, self.result), "exact"),
                    "info": ((self.problem, self.result), "measure")}
        for level, pattern in (("quiet", r"\A\Z"), ("debug", "(?m)^debug: {} took")):
            outcomes = side_by_side([((command, *arguments, "--log-level", level), None)
                                     for command, (arguments, _) in commands.items()])
            for (command, (_, step)), outcome in zip(commands.items(), outcomes):
                self.assert_succeeded(outcome)
                self.assertRegex(outcome.stderr, pattern.format(step), command)
                self.assertEqual(outcome.stdout == "", level == "quiet" or command == "generate", command)


class NotesTest(ProgramTest):
    """Options that a run had no use for are named, once, and only they."""

    def notes(self, *arguments):
        outcome = run(*arguments, ranks=2)
        self.assert_succeeded(outcome)
        return outcome.stderr.splitlines()

    def test_more_rows_to_verify_than_there_are(self):
        problem, result = self.folder / "problem.h5", self.folder / "result.h5"
        write_problem(problem, *random_problem(2, 30, 20, 3))
        self.assert_succeeded(run("solve", problem, "-o", result, ranks=None))
        verify = ("verify", problem, result, "--rows")
        self.assertEqual(self.notes(*verify, 31), ["note: --rows was given but not used in this run (each head has 30 "
                                                   "rows, all are checked)"])
        for rows in (30, "all"):
            self.assertEqual(self.notes(*verify, rows), [])
        self.assertEqual(self.notes(*verify, 31, "--quiet"), [])
        self.assertEqual(len(self.notes(*verify, 31, "--log-level", "warning")), 1)

    def test_a_method_without_queries(self):
        problem, result = self.folder / "problem.h5", self.folder / "result.h5"
        write_problem(problem, *random_problem(2, 0, 20, 3))
        solve = ("solve", problem, "-o", result, "--overwrite", "--epsilon", "1e-3")
        reason = "was given but not used in this run (there are no queries)"
        self.assertEqual(self.notes(*solve, "--degree", 3, "--method", "polynomial"),
                         [f"note: --method {reason}", f"note: --degree {reason}"])
        self.assertEqual(self.notes("plan", problem, "--degree", 3), [f"note: --degree {reason}"])
        self.assertEqual(self.notes(*solve), [])


if __name__ == "__main__":
    unittest.main()

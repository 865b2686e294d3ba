"""What kronattn says of itself: help pages that a stranger can work from."""
import json
import re
import unittest

import h5py

from program import ProgramTest, random_problem, run, side_by_side, write_problem

COMMANDS = ("generate", "plan", "solve", "verify", "info")

# What the contract promises; the pages may have more.
OPTIONS = {
    "generate": "order rows width output key-rows value-width heads bound distribution values seed precision overwrite",
    "plan": "epsilon method degree scale report order rows width bound",
    "solve": "output epsilon method degree scale precision output-precision threads overwrite report quiet",
    "verify": "rows report threads quiet",
    "info": "report",
}


def help_page(*command):
    outcome = run(*command, "--help", ranks=None)
    if outcome.code != 0:
        raise AssertionError(outcome.stderr)
    return outcome.stdout


def sections(page):
    """{"Options": text, "Examples": text, "Exit codes": text}"""
    parts = re.split(r"^([A-Z][a-z ]+):\n", page, flags=re.M)
    return dict(zip(parts[1::2], parts[2::2]))


def options(page):
    """{name: (argument, description on one line)}"""
    found = re.findall(r"^  (?:-\w, )?--([\w-]+)(?: (\S+))?((?:  .*\n|\n)(?: {20,}.*\n)*)", sections(page)["Options"], re.M)
    return {name: (argument, " ".join(text.split())) for name, argument, text in found}


class HelpTest(ProgramTest):
    @classmethod
    def setUpClass(cls):
        cls.pages = {command: help_page(command) for command in COMMANDS}
        cls.overview = help_page()

    def test_every_option_of_the_contract_is_described(self):
        for command, names in OPTIONS.items():
            described = options(self.pages[command])
            for name in names.split() + ["help"]:
                with self.subTest(command, name=name):
                    self.assertRegex(described[name][1], r"\w+ \w+")

    def test_no_line_is_longer_than_100_columns_or_ends_with_a_space(self):
        for command, page in {**self.pages, "": self.overview}.items():
            for line in page.splitlines():
                self.assertRegex(line, r"\A(|.{0,99}[^ ])\Z", command)

    def test_the_overview_names_every_command_and_exit_code(self):
        for command in COMMANDS:
            self.assertRegex(self.overview, rf"(?m)^  {command} +\w+")
        self.assertEqual(re.findall(r"(?m)^  (\d+) ", sections(self.overview)["Exit codes"]), ["0", "1", "2", "3"])

    def test_exit_codes_are_those_of_the_command(self):
        for command, page in self.pages.items():
            codes = re.findall(r"(?m)^  (\d+) ", sections(page)["Exit codes"])
            self.assertEqual(codes, ["0", "1", "2"] + ["3"] * (command == "verify"), command)

    def test_examples_use_the_command_and_its_options(self):
        for command, page in self.pages.items():
            examples = sections(page)["Examples"].splitlines()
            examples = [example for example in examples if example]
            self.assertGreaterEqual(len(examples), 2)
            for example in examples:
                self.assertRegex(example, rf"^  (mpirun -n \d+ )?kronattn {command} ")
                for name in re.findall(r"--([\w-]+)", example):
                    self.assertIn(name, options(page), example)

    def test_all_choices_are_taken_and_no_other(self):
        problem, other = self.folder / "problem.h5", self.folder / "other"
        write_problem(problem, *random_problem(2, 6, 5, 2))
        required = {"generate": ("--rows", 4, "--width", 2, "-o"), "solve": (problem, "-o"), "plan": (problem, "--report")}
        runs = []
        for command, arguments in required.items():
            for name, (argument, _) in options(self.pages[command]).items():
                if "|" not in argument or (command == "plan" and name in ("distribution", "values")):
                    continue
                for choice in argument.split("|") + [argument.split("|")[0] + "x"]:
                    output = other.with_name(f"{command} {name} {choice}.h5")
                    runs.append(((command, *arguments, output, f"--{name}", choice), 2 if choice.endswith("x") else 0))
        self.assertGreater(len(runs), 20)
        outcomes = side_by_side([(arguments, None) for arguments, _ in runs])
        for (arguments, code), outcome in zip(runs, outcomes):
            self.assertEqual(outcome.code, code, (arguments, outcome.stderr))

    def defaults(self, command):
        """["--epsilon", "1e-6", ...] for defaults that are words or numbers."""
        words = []
        for name, (_, text) in options(self.pages[command]).items():
            default = re.search(r"\(default: ([\w.-]+)\)$", text)
            words += [f"--{name}", default[1]] if default else []
        return words

    def test_the_defaults_of_generate_are_what_the_page_says(self):
        sizes = ("--rows", 20, "--width", 3)
        defaults = self.defaults("generate")
        self.assertEqual(defaults[::2], ["--order", "--bound", "--distribution", "--values", "--seed", "--precision"])
        for name, options_given in (("plain", ()), ("given", defaults)):
            self.assert_succeeded(run("generate", *sizes, "-o", self.folder / name, *options_given, ranks=None))
        with h5py.File(self.folder / "plain") as plain, h5py.File(self.folder / "given") as given:
            self.assertEqual(list(plain), list(given))
            for dataset in plain:
                self.assertEqual((plain[dataset].dtype, plain[dataset][()].tobytes()),
                                 (given[dataset].dtype, given[dataset][()].tobytes()))

    def test_the_defaults_of_plan_are_what_the_page_says(self):
        report = self.folder / "report.json"
        problem = ("--rows", 3000, "--width", 3)
        defaults = self.defaults("plan")
        self.assertIn("--epsilon", defaults)
        found = []
        for given in ((), defaults):
            self.assert_succeeded(run("plan", *problem, *given, "--report", report, ranks=None))
            found.append(json.loads(report.read_text()))
        self.assertEqual(found[0], found[1])


if __name__ == "__main__":
    unittest.main()

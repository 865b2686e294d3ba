"""What kronattn says of itself: help pages that a stranger can work from, a manual page, completion in bash."""
import json
import os
import pathlib
import re
import shlex
import subprocess
import unittest

import h5py

from program import BINARY, ProgramTest, random_problem, run, side_by_side, write_problem

COMMANDS = ("generate", "plan", "solve", "verify", "info")

# What the contract promises; the pages may have more.
OPTIONS = {
    "generate": "instance modulus relation order rows width output key-rows value-width heads bound distribution values seed precision overwrite",
    "plan": "epsilon method degree scale report order rows width bound",
    "solve": "output epsilon method degree scale precision output-precision threads overwrite report quiet "
             "resume checkpoint-interval max-seconds watchdog",
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
        self.assertEqual(re.findall(r"(?m)^  (\d+) ", sections(self.overview)["Exit codes"]), ["0", "1", "2", "3", "75"])

    def test_exit_codes_are_those_of_the_command(self):
        for command, page in self.pages.items():
            codes = re.findall(r"(?m)^  (\d+) ", sections(page)["Exit codes"])
            self.assertEqual(codes, ["0", "1", "2"] + ["3"] * (command == "verify") + ["75"] * (command == "solve"), command)

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
        required = {"generate": ("--rows", 4, "-o"), "solve": (problem, "-o"), "plan": (problem, "--report")}
        sizes = {"gap-maxip": ("--width", 4), "gap-maxip-original": ("--width", 4), "match2": ("--modulus", 5),
                 "match3": ("--modulus", 5), "matchk": ("--modulus", 5)}
        runs = []
        for command, arguments in required.items():
            for name, (argument, _) in options(self.pages[command]).items():
                if "|" not in argument or (command == "plan" and name in ("instance", "distribution", "values")):
                    continue
                for choice in argument.split("|") + [argument.split("|")[0] + "x"]:
                    output = other.with_name(f"{command} {name} {choice}.h5")
                    more = sizes.get(choice, ("--width", 2)) if command == "generate" else ()
                    runs.append(((command, *arguments, output, f"--{name}", choice, *more),
                                 2 if choice.endswith("x") else 0))
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
        self.assertEqual(defaults[::2], ["--instance", "--order", "--bound", "--distribution", "--values", "--seed", "--precision",
                                          "--log-level"])
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


def printed(*arguments):
    """What one process prints that no mpirun started."""
    return subprocess.run([BINARY, *arguments], capture_output=True, text=True, check=True).stdout


class ManualTest(ProgramTest):
    def rendered(self, *options):
        """The page as a reader sees it, and what groff had to say about it."""
        page = subprocess.run(["groff", "-man", "-ww", *options], input=printed("--man"), capture_output=True, text=True,
                              check=True)
        return page.stdout, page.stderr

    def test_it_is_sound_roff(self):
        self.assertEqual(self.rendered("-Tutf8", "-z"), ("", ""))

    def test_it_says_all_that_the_help_pages_say(self):
        manual, _ = self.rendered("-Tascii", "-P-cbou")
        self.assertRegex(manual, r"(?m)^ +kronattn - \w+")
        words = " ".join(manual.split())
        for command in COMMANDS:
            page = help_page(command)
            said = [page.splitlines()[0]] + [line.strip() for line in sections(page)["Examples"].splitlines()]
            for name, (argument, text) in options(page).items():
                said.append(f"--{name} {argument} {text}" if argument else f"--{name} {text}")
            for text in said:
                self.assertIn(" ".join(text.split()), words)

    def test_pages_do_not_need_mpi(self):
        no_mpi = dict(os.environ, OMPI_MCA_pml="none_such")
        for page, works in (("--man", True), ("--completion bash", True), ("solve --help", False)):
            outcome = subprocess.run([BINARY, *page.split()], capture_output=True, text=True, env=no_mpi)
            self.assertEqual(outcome.returncode == 0, works, page)

    def test_ranks_print_one_page(self):
        for question in (("--man",), ("--completion", "bash")):
            outcome = run(*question, ranks=2)
            self.assert_succeeded(outcome)
            self.assertEqual(outcome.stdout, printed(*question))

    def test_questions_that_make_no_sense(self):
        for question, pattern in ((("--man", "solve"), "solve"), (("--completion",), "bash"), (("--completion", "tcsh"), "bash")):
            self.assert_failed(run(*question, ranks=2), 2, pattern)

    def test_the_build_makes_pages_and_installs_them(self):
        build = pathlib.Path(BINARY).parent
        subprocess.run(["cmake", "--install", build, "--prefix", self.folder], check=True, stdout=subprocess.DEVNULL)
        self.assertEqual((self.folder / "share/man/man1/kronattn.1").read_text(), printed("--man"))
        self.assertEqual((self.folder / "share/bash-completion/completions/kronattn").read_text(),
                         printed("--completion", "bash"))


class CompletionTest(ProgramTest):
    def complete(self, *words):
        """What bash offers for the last word."""
        script = self.folder / "completion"
        script.write_text(printed("--completion", "bash"))
        line = " ".join(shlex.quote(word) for word in ("kronattn",) + words)
        shell = (f"source {shlex.quote(str(script))}; complete -p kronattn >/dev/null || exit 1\n"
                 f"COMP_WORDS=({line}); COMP_CWORD={len(words)}; _kronattn; printf '%s\\n' \"${{COMPREPLY[@]}}\"")
        outcome = subprocess.run(["bash", "-uc", shell], capture_output=True, text=True)
        self.assertEqual((outcome.returncode, outcome.stderr), (0, ""))
        return outcome.stdout.split()

    def test_commands(self):
        self.assertEqual(self.complete("s"), ["solve"])
        self.assertEqual([word for word in self.complete("") if word[0] != "-"], list(COMMANDS))
        self.assertEqual(self.complete("--v"), ["--version"])
        self.assertEqual(self.complete("--completion", ""), ["bash"])

    def test_options_are_those_of_the_help_page(self):
        for command in COMMANDS:
            names = ["--" + name for name in options(help_page(command))]
            self.assertEqual(self.complete(command, "-"), names)
        self.assertEqual(self.complete("solve", "problem.h5", "--ou"), ["--output", "--output-precision"])
        self.assertEqual(self.complete("info", "--order"), [])

    def test_choices_of_an_option(self):
        self.assertEqual(self.complete("solve", "p.h5", "--method", ""), ["auto", "polynomial", "exact"])
        self.assertEqual(self.complete("solve", "p.h5", "--method", "e"), ["exact"])
        self.assertEqual(self.complete("solve", "p.h5", "--method", "="), ["auto", "polynomial", "exact"])
        self.assertEqual(self.complete("solve", "p.h5", "--method", "=", "p"), ["polynomial"])
        self.assertEqual(self.complete("verify", "p.h5", "r.h5", "--rows", "a"), ["all"])

    def test_files_are_left_to_bash(self):
        for words in (("solve", ""), ("solve", "-o", ""), ("solve", "--report", "-"), ("solve", "--epsilon", "")):
            self.assertEqual(self.complete(*words), [])


if __name__ == "__main__":
    unittest.main()

"""Solves across four hosts, each with a network interface of its own: the bits of one host, the bytes on the wire, slow
networks, and one that is away for a while.

    KRONATTN=build/release/kronattn /usr/bin/python3 test_hosts.py -v        (as root, in tests/cluster)

Exits with 77 where no such hosts can be.
"""
import pathlib
import subprocess
import sys
import tempfile
import time
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "program"))
from hosts import Hosts, NotHere  # noqa: E402
import program  # noqa: E402

COUNT = 4
TCP_FRAME = 14 + 20 + 32  # bytes of a full frame that are no payload: Ethernet, IP, TCP with time stamps
POLYNOMIAL = ("--method", "polynomial")


class AcrossHostsTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        folder = tempfile.TemporaryDirectory(prefix="kronattn-across-")
        cls.addClassCleanup(folder.cleanup)
        cls.folder = pathlib.Path(folder.name)
        for order in (2, 3):
            outcome = program.run("generate", "--order", order, "--rows", 20_000, "--width", 8, "-o", cls.problem(order),
                                  ranks=None)
            assert outcome.code == 0, outcome.stderr

    @classmethod
    def problem(cls, order):
        return cls.folder / f"order{order}.h5"

    def command(self, order, options):
        return [program.BINARY, "solve", self.problem(order), "-o", self.folder / "result.h5", "--overwrite", "--quiet",
                "--threads", "1", *map(str, options)]

    def across(self, hosts, order, *options, ranks=1):
        """The result of a solve with so many ranks on each host."""
        outcome = hosts.mpirun(hosts.names, ranks, self.command(order, options), timeout=300)
        self.assertEqual(outcome.returncode, 0, outcome.stderr)
        return program.read_result(self.folder / "result.h5")

    def at_home(self, order, *options):
        outcome = program.run(*self.command(order, options)[1:], ranks=1)
        self.assertEqual(outcome.code, 0, outcome.stderr)
        return program.read_result(self.folder / "result.h5")

    def test_four_hosts_give_the_bits_of_one_process(self):
        with Hosts(COUNT) as hosts:
            for order, options in ((2, POLYNOMIAL), (3, POLYNOMIAL), (2, ("--method", "exact"))):
                for ranks in (1, 2):
                    with self.subTest(order=order, options=options, ranks=ranks):
                        there = self.across(hosts, order, *options, ranks=ranks)
                        self.assertEqual((there.report["run"]["hosts"], there.report["run"]["ranks"]), (COUNT, COUNT * ranks))
                        self.assertEqual(there.bits(), self.at_home(order, *options).bits())

    def test_the_wire_carries_what_the_reduction_needs(self):
        """Two solves of one problem that differ in their degree alone: starting and files cost the same bytes.

        Of sums of b bytes in k - 1 modes over P ranks, each rank sends (P - 1) / P b (all but its own share of the terms), and
        its share of the products, of half of the bytes of a mode, to all others: (P - 1) (b + b / (2 k - 2)) in all cross the
        wire.
        """
        with Hosts(COUNT) as hosts:
            for order in (2, 3):
                def payload_and_reduced(degree):
                    before = [hosts.sent(name) for name in hosts.names]
                    reduced = self.across(hosts, order, *POLYNOMIAL, "--degree", degree).report["run"]["bytes_reduced"]
                    after = [hosts.sent(name) for name in hosts.names]
                    return sum(b[0] - a[0] - TCP_FRAME * (b[1] - a[1]) for a, b in zip(before, after)), reduced
                few, many = payload_and_reduced(3), payload_and_reduced(9)
                on_wire, reduced = many[0] - few[0], many[1] - few[1]
                self.assertGreater(reduced, (order - 1) * 3_000_000)
                count = (COUNT - 1) * (reduced + reduced / (2 * order - 2))
                print(f"order {order}: {on_wire} bytes on the wire, {on_wire / count:.4f} of the count")
                self.assertAlmostEqual(on_wire / count, 1, delta=0.1)

    def test_a_network_of_limited_bandwidth_takes_longer_and_gives_the_same_bits(self):
        bits_per_second = 20e6

        def until_reduced(run):  # all steps whose sums bytes_reduced counts; the first key sums travel behind the aggregation
            return sum(run["seconds"][step] for step in ("measure", "aggregate", "reduce"))

        with Hosts(COUNT) as hosts:
            without_limit = self.across(hosts, 2, *POLYNOMIAL, "--degree", 8).report["run"]
            for name in hosts.names:
                limited = hosts.run(name, ["tc", "qdisc", "add", "dev", "eth0", "root", "tbf", "rate",
                                           f"{bits_per_second:.0f}bit", "burst", "64kb", "latency", "1s"])
                if limited.returncode != 0:
                    self.skipTest(f"this kernel can't limit bandwidth: {limited.stderr.strip()}")
            there = self.across(hosts, 2, *POLYNOMIAL, "--degree", 8)
        run = there.report["run"]
        # Each host sends (P - 1) / P of the sums and half as many bytes of products; some of that is let through at once.
        least = (1.5 * (COUNT - 1) / COUNT * run["bytes_reduced"] - 64e3 * 4) * 8 / bits_per_second
        self.assertGreater(least, 0.5)
        self.assertGreater(until_reduced(run), least)
        self.assertLess(until_reduced(without_limit), least)
        self.assertEqual(there.bits(), self.at_home(2, *POLYNOMIAL, "--degree", 8).bits())

    def test_a_network_of_long_latency_takes_longer_and_gives_the_same_bits(self):
        delay = 0.03
        try:
            with Hosts(COUNT, delay=delay) as hosts:
                there = self.across(hosts, 2, *POLYNOMIAL, "--degree", 5)
        except NotHere as reason:
            self.skipTest(str(reason))
        # No rank has its sums before the others' terms have come to it, nor the products before the others have sent theirs.
        self.assertGreater(there.report["run"]["seconds"]["reduce"], 2 * delay)
        self.assertEqual(there.bits(), self.at_home(2, *POLYNOMIAL, "--degree", 5).bits())

    def test_a_cable_that_is_out_for_a_while_costs_time_alone(self):
        options = ("--method", "exact", "--log-level", "debug")
        alone = self.at_home(2, *options).bits()
        with Hosts(COUNT) as hosts:
            command = [word for word in self.command(2, options) if word != "--quiet"]
            run = subprocess.Popen(hosts.mpirun_command(hosts.names, 1, command), stdin=subprocess.DEVNULL,
                                   stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
            try:
                began = time.monotonic()
                while not list(self.folder.glob("result.h5.partial*")):  # ranks are at work, and have found each other
                    self.assertIsNone(run.poll(), "the solve ended before it wrote anything")
                    self.assertLess(time.monotonic() - began, 120)
                    time.sleep(0.01)
                hosts.plug("n3", False)
                time.sleep(4)
                self.assertIsNone(run.poll(), "the solve did not need the network")
                hosts.plug("n3", True)
                _, stderr = run.communicate(timeout=300)
            finally:
                run.kill()
                run.wait()
            self.assertEqual(run.returncode, 0, stderr)
        self.assertEqual(program.read_result(self.folder / "result.h5").bits(), alone)


if __name__ == "__main__":
    try:
        with Hosts(1):
            pass
    except NotHere as reason:
        print(f"skipped: {reason}")
        sys.exit(77)
    unittest.main()

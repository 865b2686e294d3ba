"""Damaged files: the reader of problem files on mutants of good ones, a process each.

A mutant may be read or refused in words. It must not end its process by a signal, a hang or an exception of no words;
where the crash is one of HDF5's own, which the program turns into one line, a few in a thousand are borne.
HDF5 is not compiled for coverage, so nothing would guide a coverage-guided fuzzer through a file's structure; mutants are
made with knowledge of it instead: fields of all widths get small, large and negative numbers, blocks are moved, cut and
repeated, mostly outside of the entries, in files of every layout and format that HDF5 writes.

    KRONATTN_FUZZ_SECONDS (15)    KRONATTN_FUZZ_SEED (1): the first mutant; a failure names the seeds of its mutants
"""
import collections
import os
import pathlib
import random
import shutil
import subprocess
import tempfile
import time
import unittest

import h5py
import numpy as np

READER = os.environ["KRONATTN_READ_PROBLEMS"]
SECONDS = float(os.environ.get("KRONATTN_FUZZ_SECONDS", "15"))
SEED = int(os.environ.get("KRONATTN_FUZZ_SEED", "1"))
MEANING = {0: "read", 1: "refused", 2: "out of memory", 3: "another exception", 4: "HDF5 crashed",
           66: "found by the address sanitizer"}
ASAN_OPTIONS = "detect_leaks=0:exitcode=66:handle_segv=0:handle_sigbus=0:handle_sigfpe=0:allocator_may_return_null=1"


def good_files(folder):
    """Small problems of every layout, type and format."""
    def write(name, dtype="f8", heads=None, libver=None, scale=None, links=False, **layout):
        with h5py.File(folder / name, "w", libver=libver) as file:
            for number, (dataset, rows, width) in enumerate((("Q", 9, 2), ("K1", 7, 2), ("V1", 7, 3), ("K2", 5, 2),
                                                             ("V2", 5, 3))):
                shape = (rows, width) if heads is None else (heads, rows, width)
                data = np.random.default_rng(number).uniform(-1, 1, shape).astype(dtype)
                file.create_dataset("hidden/" + dataset if links else dataset, data=data, **layout)
                if links:
                    file[dataset] = h5py.SoftLink("/hidden/" + dataset)
            if scale is not None:
                file.attrs["scale"] = scale
        return (folder / name).read_bytes()

    return {
        "contiguous": write("contiguous"),
        "single, other byte order": write("single", dtype=">f4", scale=0.5),
        "heads": write("heads", heads=2, scale=np.float32(2)),
        "chunked": write("chunked", chunks=(3, 2)),
        "compressed": write("compressed", chunks=(4, 2), compression="gzip", shuffle=True),
        "checksums": write("checksums", chunks=(4, 2), fletcher32=True),
        "extendible": write("extendible", maxshape=(None, 3), chunks=(2, 1)),
        "latest format": write("latest", libver="latest", scale=0.25),
        "latest format, chunked": write("latest chunked", libver="latest", chunks=(3, 2), compression="gzip"),
        "links": write("links", links=True),
    }


class Mutations:
    """What can be done to the bytes of a file, at random."""

    NUMBERS = (0, 1, 2, 3, 7, 8, 16, 127, 128, 255, 256, 1 << 15, (1 << 16) - 1, 1 << 16, (1 << 31) - 1, 1 << 31,
               (1 << 32) - 1, 1 << 32, (1 << 63) - 1, 1 << 63, (1 << 64) - 1)

    def __init__(self, seed, files):
        self.random = random.Random(seed)
        self.files = list(files.values())

    def place(self, data):
        """Somewhere, mostly where there is structure: near bytes that are not of entries, which rarely hold zeros."""
        for _ in range(4):
            place = self.random.randrange(len(data))
            if 0 in data[max(0, place - 3):place + 4]:
                break
        return place

    def number(self, data):
        place, width = self.place(data), self.random.choice((1, 1, 2, 4, 8))
        old = int.from_bytes(data[place:place + width], "little")
        new = self.random.choice((self.random.choice(self.NUMBERS), old + self.random.randint(-4, 4), old << 1, old >> 1,
                                  ~old, self.random.getrandbits(8 * width), len(data) + self.random.randint(-9, 9)))
        data[place:place + width] = (new % (1 << 8 * width)).to_bytes(width, "little")

    def bit(self, data):
        data[self.place(data)] ^= 1 << self.random.randrange(8)

    def copy(self, data):
        size, source = self.random.choice((4, 8, 16, 40, 200)), self.random.choice(self.files + [data])
        begin, place = self.random.randrange(len(source)), self.place(data)
        part = source[begin:begin + size][:len(data) - place]
        data[place:place + len(part)] = part

    def fill(self, data):
        place, size = self.place(data), self.random.choice((2, 8, 24, 64, 512))
        size = min(size, len(data) - place)
        data[place:place + size] = bytes([self.random.choice((0, 255, 1, 65))]) * size

    def cut(self, data):
        del data[self.place(data):]
        data.append(0)

    def remove(self, data):
        place = self.place(data)
        del data[place:place + self.random.choice((1, 8, 16))]
        data.append(0)

    def insert(self, data):
        place = self.place(data)
        data[place:place] = self.random.randbytes(self.random.choice((1, 8, 16)))

    def mutant(self):
        data = bytearray(self.random.choice(self.files))
        kinds = (self.number,) * 8 + (self.bit,) * 3 + (self.copy, self.copy, self.fill, self.cut, self.remove, self.insert)
        for _ in range(self.random.choice((1, 1, 1, 2, 3, 6))):
            self.random.choice(kinds)(data)
        return bytes(data)


class Fuzz(unittest.TestCase):
    def test_the_reader_of_problems_reads_or_refuses_every_mutant(self):
        folder = pathlib.Path(tempfile.mkdtemp(prefix="kronattn_fuzz_", dir="/dev/shm" if os.path.isdir("/dev/shm") else None))
        self.addCleanup(shutil.rmtree, folder)
        files = good_files(folder)
        counts, broken, seed = collections.Counter(), [], SEED
        path = folder / "mutant.h5"
        with subprocess.Popen([READER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1,
                              env=dict(os.environ, ASAN_OPTIONS=ASAN_OPTIONS)) as reader:
            def read(data):
                path.write_bytes(data)
                print(path, file=reader.stdin, flush=True)
                return int(reader.stdout.readline())

            for name, data in files.items():
                self.assertEqual(read(data), 0, name)
            end = time.monotonic() + SECONDS
            while time.monotonic() < end:
                outcome = read(Mutations(seed, files).mutant())
                counts[outcome] += 1
                if outcome not in (0, 1, 2, 4):
                    broken.append((seed, outcome))
                seed += 1
            reader.stdin.close()
        print(f"{sum(counts.values())} mutants: " +
              ", ".join(f"{count} {MEANING.get(outcome, f'signal {-outcome}')}" for outcome, count in sorted(counts.items())),
              flush=True)
        self.assertEqual(broken, [], "(seed, outcome)")
        self.assertLessEqual(counts[4], 2 + 0.005 * sum(counts.values()))
        self.assertGreater(counts[0], 0)
        self.assertGreater(counts[1], 0)


if __name__ == "__main__":
    unittest.main()

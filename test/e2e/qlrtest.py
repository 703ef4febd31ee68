"""What the end-to-end tests share: programs, data folders, scratch folders, and a runner that counts cases."""
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = pathlib.Path(os.environ.get("QLR_BUILD", ROOT / "build" / "release"))
BIN = pathlib.Path(os.environ.get("QLR_BIN", BUILD / "bin"))
DEMO = ROOT / "test" / "models" / "demo"
SHARED = ROOT.parent / "shared"


def data(path):
    """A path below ../shared/data; the test is skipped where it is absent."""
    found = SHARED / "data" / path
    if not found.exists():
        raise unittest.SkipTest(f"../shared/data/{path} is absent")
    return found


def model(name):
    """A model directory below ../shared/models; the test is skipped where it is absent."""
    found = SHARED / "models" / name
    if not found.exists():
        raise unittest.SkipTest(f"../shared/models/{name} is absent")
    return found


def cpu_levels():
    """The CPU levels of the contract that this machine can run."""
    flags = set()
    with open("/proc/cpuinfo") as f:
        for line in f:
            if line.startswith("flags"):
                flags = set(line.split(":", 1)[1].split())
                break
    levels = []
    if {"avx2", "fma", "f16c", "bmi2"} <= flags:
        levels.append("avx2")
    if {"avx512f", "avx512bw", "avx512vl", "avx512dq", "avx512vbmi", "avx512_vnni"} <= flags:
        levels.append("avx512")
    return levels


class Failed(Exception):
    """A program that should have succeeded did not; the message holds its command and what it said."""


def run(*command, check=True, timeout=1800, cwd=None, env=None, stdin=None):
    """Runs a program of the build (its bare name) or any path, output captured as text."""
    words = [str(w) for w in command]
    if "/" not in words[0]:
        words[0] = str(BIN / words[0])
    environment = dict(os.environ, **(env or {}))
    done = subprocess.run(words, capture_output=True, text=True, errors="replace", timeout=timeout, cwd=cwd,
                          env=environment, input=stdin)
    if check and done.returncode != 0:
        raise Failed(f"exit code {done.returncode}: {' '.join(words)}\n{done.stderr[-4000:]}{done.stdout[-1000:]}")
    return done


def run_json(*command, **options):
    """Runs a program with --json and returns its object."""
    done = run(*command, "--json", **options)
    try:
        return json.loads(done.stdout)
    except json.JSONDecodeError as e:
        raise Failed(f"stdout of {' '.join(map(str, command))} is not one JSON object ({e}): {done.stdout[:500]!r}") from None


class Case(unittest.TestCase):
    """A test case with a scratch folder of its own (self.tmp), removed afterwards."""

    @classmethod
    def setUpClass(cls):
        cls.shared_tmp = pathlib.Path(tempfile.mkdtemp(prefix="qlr-test-"))

    @classmethod
    def tearDownClass(cls):
        shutil.rmtree(cls.shared_tmp, ignore_errors=True)

    def setUp(self):
        self.tmp = pathlib.Path(tempfile.mkdtemp(dir=self.shared_tmp))


class _Result(unittest.TextTestResult):
    """Counts passed cases and passed sub-tests too: a case of many combinations is that many cases."""

    def __init__(self, *args):
        super().__init__(*args)
        self.passed = 0
        self.parents = set()

    def addSuccess(self, test):
        super().addSuccess(test)
        if test.id() not in self.parents:
            self.passed += 1

    def addSubTest(self, test, subtest, err):
        super().addSubTest(test, subtest, err)
        self.parents.add(test.id())
        if err is None:
            self.passed += 1


def main():
    """Runs the test file that calls it; prints what was skipped and why, and the totals that tools/test adds up."""
    program = unittest.main(module="__main__", exit=False, verbosity=2,
                            testRunner=unittest.TextTestRunner(resultclass=_Result, stream=sys.stdout, verbosity=2))
    result = program.result
    for _, reason in result.skipped:
        print(f"skipped: {reason}")
    failed = len(result.failures) + len(result.errors) + len(result.unexpectedSuccesses)
    skipped = len(result.skipped)
    print(f"qlr-cases: {result.passed} passed, {failed} failed, {skipped} skipped")
    sys.stdout.flush()
    if failed:
        sys.exit(1)
    sys.exit(77 if skipped and not result.passed else 0)

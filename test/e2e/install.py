#!/usr/bin/env python3
"""The runtime installs and runs alone: without compiler, compressor, LLVM and LibTorch."""
import os
import shutil
import subprocess

import qlrtest

PROGRAMS = {"qlr", "qlr-run", "qlr-eval", "qlr-bench", "qlr-inspect", "qlr-tokenize"}


class Install(qlrtest.Case):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.prefix = cls.shared_tmp / "prefix"
        cmake = shutil.which("cmake")
        if not cmake:
            raise qlrtest.unittest.SkipTest("no cmake")
        subprocess.run([cmake, "--install", str(qlrtest.BUILD), "--component", "runtime", "--prefix", str(cls.prefix)],
                       check=True, capture_output=True)
        cls.artifact = cls.shared_tmp / "demo.qlr"
        qlrtest.run("qlr", "compile", qlrtest.DEMO, "--target", "host", "-o", cls.artifact)

    def qlr(self, *arguments, **options):
        return qlrtest.run(str(self.prefix / "bin" / "qlr"), *arguments,
                           env={"XDG_CACHE_HOME": str(self.tmp), "PATH": "/usr/bin:/bin"}, **options)

    def test_only_the_runtime_is_installed(self):
        self.assertEqual(set(os.listdir(self.prefix / "bin")), PROGRAMS)
        self.assertEqual(os.listdir(self.prefix), ["bin"])

    def test_an_artifact_runs(self):
        done = self.qlr("run", self.artifact, "--raw", "-p", "The", "-n", 8, "--temp", 0)
        self.assertTrue(done.stdout.strip())

    def test_a_directory_needs_the_compiler(self):
        done = self.qlr("run", qlrtest.DEMO, "-p", "The", "-n", 8, check=False)
        self.assertNotEqual(done.returncode, 0)
        errors = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
        self.assertEqual(len(errors), 1, done.stderr)
        self.assertIn("qlr-compile", errors[0])

    def test_verbs_that_are_not_installed(self):
        for verb in ("compile", "compress"):
            done = self.qlr(verb, "x", check=False)
            self.assertNotEqual(done.returncode, 0)
            self.assertIn(f"qlr-{verb}", done.stderr)


if __name__ == "__main__":
    qlrtest.main()

#!/usr/bin/env python3
"""runtime/cuda/DriverApi.h against NVIDIA's cuda.h, where a toolkit or its pip package is installed."""
import glob
import os
import shutil
import subprocess

import qlrtest

CHECK = qlrtest.ROOT / "test" / "unit" / "cuda" / "CudaHeaderCheck.cpp"


def include_folders():
    """Folders with a cuda.h, the environment's toolkit first."""
    patterns = [os.path.join(os.environ[v], "include") for v in ("CUDA_HOME", "CUDA_PATH") if v in os.environ]
    patterns += ["/usr/local/cuda*/include", str(qlrtest.ROOT / ".venv/lib/python3*/site-packages/nvidia/*/include")]
    return [f for p in patterns for f in sorted(glob.glob(p)) if os.path.exists(os.path.join(f, "cuda.h"))]


class CudaApi(qlrtest.Case):
    def compile(self, folder, *options):
        compiler = os.environ.get("CXX") or shutil.which("c++")
        return subprocess.run([compiler, "-std=c++20", "-fsyntax-only", *options, f"-I{qlrtest.ROOT}", "-isystem", folder,
                               str(CHECK)], capture_output=True, text=True)

    def test_declarations_are_nvidias(self):
        folders = include_folders()
        if not folders:
            self.skipTest("no cuda.h here")
        for folder in folders:
            with self.subTest(folder=folder):
                done = self.compile(folder)
                self.assertEqual(done.returncode, 0, done.stderr[-3000:])

    def test_a_wrong_declaration_is_found(self):
        folders = include_folders()
        if not folders:
            self.skipTest("no cuda.h here")
        header = (qlrtest.ROOT / "runtime/cuda/DriverApi.h").read_text()
        for right, wrong, named in (("int attribute, int value)", "int attribute, size_t value)", "cuFuncSetAttribute"),
                                    ("CU_JIT_ERROR_LOG_BUFFER = 5", "CU_JIT_ERROR_LOG_BUFFER = 7", "CU_JIT_ERROR_LOG_BUFFER")):
            with self.subTest(change=wrong):
                self.assertIn(right, header)
                (self.tmp / "runtime/cuda").mkdir(parents=True, exist_ok=True)
                (self.tmp / "runtime/cuda/DriverApi.h").write_text(header.replace(right, wrong))
                done = self.compile(folders[0], f"-I{self.tmp}")
                self.assertNotEqual(done.returncode, 0)
                self.assertIn(named, done.stderr)


if __name__ == "__main__":
    qlrtest.main()

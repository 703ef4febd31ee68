#!/usr/bin/env python3
"""The include rules of the tree, and that the programs that run models link neither LLVM nor LibTorch."""
import re
import subprocess
import unittest

import qlrtest

# folder -> the project's own folders it may include from
MAY_INCLUDE = {
    "runtime": {"runtime"},
    "dialect": {"dialect", "runtime/format"},
    "passes": {"passes", "dialect", "runtime/format"},
    "codegen": {"codegen", "passes", "dialect", "runtime/format"},
    "compressor": {"compressor", "runtime/format", "runtime/tokenizer"},
}
COMPILER_ONLY = re.compile(r"(llvm|mlir|llvm-c|mlir-c|lld)/")
TORCH_ONLY = re.compile(r"(torch|ATen|c10|caffe2)/")
INCLUDE = re.compile(r'^\s*#\s*include\s*[<"]([^>"]+)[>"]')
SUFFIXES = {".h", ".hpp", ".cpp", ".cc", ".inc", ".td", ".def"}
RUNTIME_PROGRAMS = ["qlr", "qlr-run", "qlr-eval", "qlr-bench", "qlr-inspect", "qlr-tokenize", "qlr-gpu-check"]


def sources(folder):
    return sorted(p for p in (qlrtest.ROOT / folder).rglob("*") if p.suffix in SUFFIXES)


def includes(path):
    for number, line in enumerate(path.read_text(errors="replace").splitlines(), 1):
        found = INCLUDE.match(line)
        if found:
            yield number, found.group(1)


class Layering(qlrtest.Case):
    def check(self, path, number, name, allowed):
        where = f"{path.relative_to(qlrtest.ROOT)}:{number}: includes {name}"
        top = path.relative_to(qlrtest.ROOT).parts[0]
        if top in ("runtime", "compressor"):
            self.assertIsNone(COMPILER_ONLY.match(name), where)
        if top != "compressor":
            self.assertIsNone(TORCH_ONLY.match(name), where)
        own = name.split("/")[0]
        if own in MAY_INCLUDE or own in ("tools", "test"):
            self.assertTrue(any(name.startswith(a + "/") for a in allowed), where)

    def test_folders(self):
        for folder, allowed in MAY_INCLUDE.items():
            with self.subTest(folder=folder):
                found = sources(folder)
                self.assertTrue(found, f"{folder}/ has no source files")
                for path in found:
                    for number, name in includes(path):
                        self.check(path, number, name, allowed)

    def test_tools_mix_no_compiler_and_compressor(self):
        for path in sorted((qlrtest.ROOT / "tools").glob("*.cpp")):
            names = [name for _, name in includes(path)]
            uses_torch = any(TORCH_ONLY.match(n) or n.startswith("compressor/") for n in names)
            uses_llvm = any(COMPILER_ONLY.match(n) or n.split("/")[0] in ("dialect", "passes", "codegen") for n in names)
            self.assertFalse(uses_torch and uses_llvm, f"{path.name} includes both compiler and compressor")

    def test_top_level_is_the_agreed_one(self):
        agreed = {"CMakeLists.txt", "CMakePresets.json", "README.md", "LICENSE", "dialect", "passes", "codegen", "runtime",
                  "compressor", "test", "tools", "docs"}
        tracked = subprocess.run(["git", "ls-files"], cwd=qlrtest.ROOT, capture_output=True, text=True)
        if tracked.returncode != 0:
            self.skipTest("not a git checkout")
        top = {line.split("/")[0] for line in tracked.stdout.splitlines()}
        self.assertEqual({t for t in top if not t.startswith(".")} - agreed, set())

    def linked(self, program):
        """Names of the shared libraries a program needs, its own and theirs."""
        path = qlrtest.BIN / program
        if not path.exists():
            self.skipTest(f"{program} is not built")
        out = subprocess.run(["ldd", str(path)], capture_output=True, text=True, check=True).stdout
        return [line.split()[0] for line in out.splitlines() if line.strip()]

    def test_runtime_programs_link_no_llvm_and_no_torch(self):
        for program in RUNTIME_PROGRAMS:
            with self.subTest(program=program):
                bad = [n for n in self.linked(program) if re.search(r"LLVM|MLIR|torch|c10|lld", n)]
                self.assertEqual(bad, [])

    def test_compiler_links_no_torch_and_compressor_no_llvm(self):
        self.assertEqual([n for n in self.linked("qlr-compile") if re.search(r"torch|c10", n)], [])
        self.assertEqual([n for n in self.linked("qlr-compress") if re.search(r"LLVM|MLIR", n)], [])


if __name__ == "__main__":
    qlrtest.main()

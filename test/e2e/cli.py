#!/usr/bin/env python3
"""The command line: versions, help, one JSON object with --json, the keys it promises, and the same bytes twice."""
import json
import re
import shutil

import numpy as np

import qlrformat
import qlrtest

VERBS = ["run", "eval", "bench", "inspect", "tokenize", "compile", "compress"]


class Cli(qlrtest.Case):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.artifact = cls.shared_tmp / "demo.qlr"
        qlrtest.run("qlr", "compile", qlrtest.DEMO, "--target", "host", "-o", cls.artifact)

    def test_version_and_help(self):
        version = qlrtest.run("qlr", "--version").stdout
        self.assertRegex(version, r"\d+\.\d+\.\d+")
        number = re.search(r"\d+\.\d+\.\d+", version).group()
        for verb in VERBS:
            with self.subTest(verb=verb):
                self.assertIn(number, qlrtest.run("qlr", verb, "--version").stdout)
                said = qlrtest.run("qlr", verb, "--help").stdout
                self.assertIn("--", said)
                self.assertLess(len(said.splitlines()), 80, "its own options, not those of the libraries it links")
        for verb in VERBS:
            with self.subTest(listed=verb):
                self.assertIn(verb, qlrtest.run("qlr", "--help").stdout)

    def test_unknown_verbs_and_options(self):
        for command in (["frobnicate"], ["run", "--no-such-option"], ["compile"], []):
            with self.subTest(command=command):
                done = qlrtest.run("qlr", *command, check=False)
                self.assertNotEqual(done.returncode, 0)
                self.assertTrue(done.stderr.strip())

    def test_run_json(self):
        got = qlrtest.run_json("qlr", "run", self.artifact, "--raw", "-p", "In the 19th century", "-n", 16, "--temp", 0)
        for key in ("prompt_ids", "ids", "text", "tokens_per_second", "prompt_tokens_per_second", "logits_hash"):
            self.assertIn(key, got)
        self.assertEqual(len(got["ids"]), 16)
        self.assertRegex(got["logits_hash"], r"^[0-9a-f]{16}$")
        self.assertGreater(got["tokens_per_second"], 0)

    def test_dumped_logits(self):
        dump = self.tmp / "logits.f32"
        options = ("--prompt-ids", "5,9,200,3", "--temp", 0, "--dump-logits", dump)
        only = qlrtest.run_json("qlr", "run", self.artifact, *options, "-n", 0)
        self.assertEqual((only["ids"], only["prompt_ids"]), ([], [5, 9, 200, 3]))
        self.assertGreater(only["prompt_tokens_per_second"], 0)
        rows = np.fromfile(dump, np.float32).reshape(4, -1)
        self.assertEqual(only["logits_hash"], qlrformat.xxh64(rows[-1].tobytes()))
        generated = qlrtest.run_json("qlr", "run", self.artifact, *options, "-n", 2)
        self.assertEqual(generated["ids"][0], rows[-1].argmax())
        self.assertTrue(np.array_equal(np.fromfile(dump, np.float32), rows.ravel()), "the same logits")

    def test_run_ends_with_one_line(self):
        done = qlrtest.run("qlr", "run", self.artifact, "--raw", "-p", "In the 19th century", "-n", 16, "--temp", 0)
        last = done.stderr.strip().splitlines()[-1]
        for unit in ("tok/s", "GB/s"):
            self.assertIn(unit, last)
        self.assertRegex(last, r"[0-9a-f]{16}")
        got = qlrtest.run_json("qlr", "run", self.artifact, "--raw", "-p", "In the 19th century", "-n", 16, "--temp", 0)
        self.assertIn(got["text"].strip(), done.stdout)

    def test_same_seed_same_text_and_threads_do_not_matter(self):
        def sample(*options):
            return qlrtest.run_json("qlr", "run", self.artifact, "--raw", "-p", "The history of", "-n", 32, "--temp", 0.8,
                                    *options)
        first = sample("--seed", 7)
        self.assertEqual(first["ids"], sample("--seed", 7)["ids"])
        self.assertEqual(first["logits_hash"], sample("--seed", 7)["logits_hash"])
        self.assertNotEqual(first["ids"], sample("--seed", 8)["ids"])
        for threads in (1, 2, 3):
            other = sample("--seed", 7, "--threads", threads)
            self.assertEqual((other["ids"], other["logits_hash"]), (first["ids"], first["logits_hash"]))

    def test_same_input_same_artifact(self):
        again = self.tmp / "again.qlr"
        qlrtest.run("qlr", "compile", qlrtest.DEMO, "--target", "host", "-o", again)
        self.assertEqual(again.read_bytes(), self.artifact.read_bytes())

    def test_eval_json(self):
        options = ["--text", qlrtest.DEMO / "heldout.txt", "--protocol", "window:256", "--max-windows", 4]
        got = qlrtest.run_json("qlr", "eval", self.artifact, "perplexity", *options)
        self.assertEqual(got["protocol"], "window:256")
        self.assertEqual(got["tokens"], 4 * 255)
        self.assertIn("activations", got)
        self.assertAlmostEqual(got["perplexity"], 2.718281828459045 ** got["nll"], delta=1e-3)
        got = qlrtest.run_json("qlr", "eval", self.artifact, "kl", "--reference", qlrtest.DEMO, *options,
                               env={"XDG_CACHE_HOME": str(self.tmp)})
        self.assertEqual(got["tokens"], 4 * 255)
        self.assertLess(abs(got["kl"]), 1e-6)
        self.assertEqual(got["top1"], 1)

    def test_perplexity_of_the_demo(self):
        got = qlrtest.run_json("qlr", "eval", self.artifact, "perplexity", "--text", qlrtest.DEMO / "heldout.txt",
                               "--protocol", "window:256", "--max-windows", 96)
        self.assertAlmostEqual(got["perplexity"], 17.357, delta=0.03)

    def test_inspect_json(self):
        got = qlrtest.run_json("qlr", "inspect", qlrtest.DEMO)
        self.assertEqual(got["bytes"], (qlrtest.DEMO / "model.safetensors").stat().st_size)
        self.assertAlmostEqual(got["bits_per_weight"], 16, delta=0.5)
        for name in (self.artifact, qlrtest.DEMO / "model.safetensors"):
            with self.subTest(file=name.name):
                self.assertIn("bytes", qlrtest.run_json("qlr", "inspect", name))
        # The artifact of an uncompressed model tells as much of its linears as the directory does.
        linears = [m for m in got["modules"] if m["name"].startswith("model.layers.")]
        artifact = qlrtest.run_json("qlr", "inspect", self.artifact)
        self.assertEqual(sorted((m["name"], m["codec"], m["bytes"], m["bits"]) for m in artifact["modules"]),
                         sorted((m["name"], m["codec"], m["bytes"], m["bits"]) for m in linears))
        self.assertEqual(artifact["bits_per_weight"], got["bits_per_weight"])
        memory = qlrtest.run_json("qlr", "inspect", self.artifact, "--ctx-size", 512)["memory"]
        self.assertEqual(set(memory), {"weights", "cache", "workspace", "total"})

    def test_cache_of_compiled_directories(self):
        """A directory is compiled once; the artifacts used longest ago go when they exceed QLR_CACHE_GB."""
        cache = self.tmp / "cache"
        other = self.tmp / "other"
        shutil.copytree(qlrtest.DEMO, other, copy_function=shutil.copyfile)
        (other / "generation_config.json").write_text('{"temperature": 0.5}')

        def run(model, limit):
            done = qlrtest.run("qlr", "run", model, "--raw", "-p", "In", "-n", 1, check=False,
                               env={"XDG_CACHE_HOME": str(cache), "QLR_CACHE_GB": limit})
            return done, {path.name for path in (cache / "qlr").glob("*.qlr")}

        done, first = run(qlrtest.DEMO, "1")
        self.assertIn("compiling", done.stderr)
        self.assertEqual(len(first), 1)
        done, kept = run(qlrtest.DEMO, "0")
        self.assertNotIn("compiling", done.stderr)
        self.assertEqual(kept, first)
        done, second = run(other, "0")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(len(second), 1, "the one just made stays, the other goes")
        self.assertNotEqual(second, first)
        done, both = run(qlrtest.DEMO, "1")
        self.assertEqual(both, first | second)
        (other / "generation_config.json").write_text('{"temperature": 0.6}')
        done, after = run(other, "much")
        self.assertNotEqual(done.returncode, 0)
        self.assertIn("QLR_CACHE_GB=much", done.stderr)
        self.assertEqual(after, both)

    def test_bench(self):
        for how in ("md", "json", "csv"):
            with self.subTest(output=how):
                out = qlrtest.run("qlr", "bench", self.artifact, "-p", 128, "-n", 16, "-r", 1, "-o", how).stdout
                self.assertIn("pp128", out)
                self.assertIn("tg16", out)
                if how == "json":
                    json.loads(out)

    def test_tokenize(self):
        text = "Hello, world! Ünïcödé\tand   spaces"
        done = qlrtest.run("qlr", "tokenize", self.artifact, stdin=text + "\n")
        ids = json.loads(done.stdout)
        self.assertTrue(all(isinstance(i, int) for i in ids))
        back = qlrtest.run("qlr", "tokenize", qlrtest.DEMO, "--decode", stdin=json.dumps(ids) + "\n").stdout
        self.assertIn(text, back)


if __name__ == "__main__":
    qlrtest.main()

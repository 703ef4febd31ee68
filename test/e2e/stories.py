#!/usr/bin/env python3
"""stories260K, uncompressed: greedy ids and negative log-likelihood of the fp64 reference, through import, compile and run."""
import json

import qlrtest


class Stories(qlrtest.Case):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.model = qlrtest.data("stories260K/qwen2_layout")
        cls.artifact = cls.shared_tmp / "stories.qlr"
        qlrtest.run("qlr", "compile", cls.model, "--target", "host", "--cache", "f32", "-o", cls.artifact)

    def test_greedy_ids(self):
        want = json.loads((self.model / "reference.json").read_text())["greedy_ids"]
        for level in qlrtest.cpu_levels():
            with self.subTest(level=level):
                got = qlrtest.run_json("qlr", "run", self.artifact, "--prompt-ids", want[0], "--temp", 0, "-n", len(want) - 1,
                                       "--cpu-level", level)
                self.assertEqual(got["prompt_ids"], want[:1])
                self.assertEqual(got["ids"], want[1:])

    def test_directory_gives_the_same_ids(self):
        want = json.loads((self.model / "reference.json").read_text())["greedy_ids"][:33]
        got = qlrtest.run_json("qlr", "run", self.model, "--prompt-ids", want[0], "--temp", 0, "-n", 32,
                               env={"XDG_CACHE_HOME": str(self.tmp)})
        self.assertEqual(got["ids"], want[1:])

    def test_nll(self):
        ids = self.model / "tinystories_ids.json"
        want = json.loads(ids.read_text())
        got = qlrtest.run_json("qlr", "eval", self.artifact, "perplexity", "--ids", ids, "--protocol", "window:512")
        self.assertEqual(got["tokens"], want["n_tokens"])
        self.assertAlmostEqual(got["nll"], want["mean_nll"], delta=2e-4)


if __name__ == "__main__":
    qlrtest.main()

#!/usr/bin/env python3
"""Quality of compressed models: KL to the original against the figures of an independent prototype, kernels executed.

The prototype simulated dense weights with exact activations; here activations are rounded as the kernels round them, so
the comparison is against the whole product. Embedding and head stay in bf16, as in the prototype.

Rank 32 with int4 factors is held to two bounds: its KL is the prototype's or better, without a tolerance, and the share
of trellis2's KL that it removes is the prototype's, less a fifth at most. The difference of the two KLs is not compared:
trellis2 alone is below the prototype's by two fifths (the compressor fits the original's outputs, see
docs/results/compression.md), so there is less left for the factors to take, and a worse trellis2 would make such a test
pass. It cannot make these pass: trellis2, and trellis2 with the rank, are each bounded from above.
"""
import json
import sys

import qlrtest

TOLERANCE = 1.10  # not worse than the figure by more than a tenth

# name: (options of compress, configuration, KL on demo, KL on testbed, bits on demo, bits on testbed)
ROWS = {
    "trellis2": (["--codec", "trellis2"], {}, 0.1069, 0.0237, 2.054, 2.027),
    "trellis3": (["--codec", "trellis3"], {}, 0.0232, 0.0042, 3.054, 3.027),
    "trellis4": (["--codec", "trellis4"], {}, 0.0064, 0.0011, 4.054, 4.027),
    "int2": (["--codec", "int2"], {}, 0.1963, 0.0581, 2.054, 2.027),
    "int2g64 not rotated": (["--codec", "int2g64"], {"rotation": 0}, 0.2067, 0.0686, 2.250, 2.250),
    "int2g64 not rotated, no feedback": (["--codec", "int2g64"], {"rotation": 0, "feedback": "none"}, 0.2655, 0.0870,
                                         2.250, 2.250),
    # The prototype's bits (2.887, 2.452) are without the factors' scales: 16 bits for each row of both factors.
    "trellis2 rank 32": (["--codec", "trellis2", "--rank", "32", "--factors", "int4"], {}, 0.0636, 0.0147, 2.946, 2.480),
}


class Quality(qlrtest.Case):
    def measure(self, model, calibration, evaluation, row):
        """qlr eval's report and the bits of one row: compressed, compiled, and evaluated with the artifact's kernels."""
        options, configuration = ROWS[row][:2]
        config = self.tmp / "configuration.json"
        # The heads of both models are tied: there is no lm_head to name.
        config.write_text(json.dumps({"model.embed_tokens": {"codec": "bf16"}, **configuration}))
        out, artifact = self.tmp / "compressed", self.tmp / "model.qlr"
        qlrtest.run("qlr", "compress", model, "-o", out, "--config", config, *options, "--calib", calibration,
                    "--calib-windows", 192, "--calib-length", 256, "--work", self.tmp / "work")
        qlrtest.run("qlr", "compile", out, "--target", "host", "-o", artifact)
        got = qlrtest.run_json("qlr", "eval", artifact, "kl", "--reference", model, "--text", evaluation, "--protocol",
                               "window:256", "--max-windows", 96, env={"XDG_CACHE_HOME": str(self.shared_tmp)})
        self.assertEqual(got["tokens"], 96 * 255)
        return got, qlrtest.run_json("qlr", "inspect", out)["bits_per_weight"]

    def check(self, model, calibration, evaluation, kl_column, bits_column):
        measured = {}
        for row, figures in ROWS.items():
            with self.subTest(model=model.name, row=row):
                got, bits = self.measure(model, calibration, evaluation, row)
                self.setUp()  # a fresh scratch folder for the next row
                kl = measured[row] = got["kl"]
                print(f"{model.name}: {row}: KL {kl:.5f} (prototype {figures[kl_column]}), {bits:.3f} bits, perplexity "
                      f"{got['perplexity']:.2f}, top-1 equal {got['top1']:.3f}", file=sys.stderr, flush=True)
                self.assertLessEqual(kl, figures[kl_column] * TOLERANCE)
                self.assertAlmostEqual(bits, figures[bits_column], delta=0.01)
        alone, ranked = measured["trellis2"], measured["trellis2 rank 32"]
        figure_alone, figure_ranked = (ROWS[row][kl_column] for row in ("trellis2", "trellis2 rank 32"))
        with self.subTest(model=model.name, row="rank 32 against the prototype's"):
            self.assertLessEqual(ranked, figure_ranked)
        with self.subTest(model=model.name, row="share of the KL that rank 32 removes"):
            self.assertGreaterEqual(1 - ranked / alone, 0.8 * (1 - figure_ranked / figure_alone))

    def test_demo(self):
        self.check(qlrtest.DEMO, qlrtest.DEMO / "calibration.txt", qlrtest.DEMO / "heldout.txt", 2, 4)

    def test_testbed(self):
        self.check(qlrtest.model("testbed"), qlrtest.data("calibration/wiki.utf8"), qlrtest.data("wikitext2/wiki.test.raw"),
                   3, 5)


if __name__ == "__main__":
    qlrtest.main()

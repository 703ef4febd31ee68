#!/usr/bin/env python3
"""Quality of compressed models: KL to the original against the figures of an independent prototype, kernels executed.

The prototype simulated dense weights with exact activations; here activations are rounded as the kernels round them, so
the comparison is against the whole product. Embedding and head stay in bf16, as in the prototype.
"""
import json
import os
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
    "trellis2 rank 32": (["--codec", "trellis2", "--rank", "32", "--factors", "int4"], {}, 0.0636, 0.0147, None, None),
}


class Quality(qlrtest.Case):
    def measure(self, model, calibration, evaluation, row):
        """(KL, bits) of one row: compressed, compiled, and evaluated with the artifact's kernels."""
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
        return got["kl"], qlrtest.run_json("qlr", "inspect", out)["bits_per_weight"]

    def check(self, model, calibration, evaluation, kl_column, bits_column, rows=ROWS):
        measured = {}
        for row in rows:
            figures = ROWS[row]
            with self.subTest(model=model.name, row=row):
                kl, bits = self.measure(model, calibration, evaluation, row)
                self.setUp()  # a fresh scratch folder for the next row
                measured[row] = kl
                print(f"{model.name}: {row}: KL {kl:.5f} (prototype {figures[kl_column]}), {bits:.3f} bits", file=sys.stderr)
                self.assertLessEqual(kl, figures[kl_column] * TOLERANCE)
                if figures[bits_column]:
                    self.assertAlmostEqual(bits, figures[bits_column], delta=0.01)
        with self.subTest(model=model.name, row="gain of rank 32"):
            # As a share of the KL: the compressor's trellis2 is well below the prototype's, and so is what is left to gain.
            gain = 1 - measured["trellis2 rank 32"] / measured["trellis2"]
            want = 1 - ROWS["trellis2 rank 32"][kl_column] / ROWS["trellis2"][kl_column]
            self.assertGreaterEqual(gain, 0.8 * want)

    def test_demo(self):
        self.check(qlrtest.DEMO, qlrtest.DEMO / "calibration.txt", qlrtest.DEMO / "heldout.txt", 2, 4)

    def test_testbed(self):
        # All rows take a quarter of an hour: tools/test --full runs them, else those the others are compared with.
        rows = ROWS if os.environ.get("QLR_FULL") else ["trellis2", "trellis2 rank 32"]
        self.check(qlrtest.model("testbed"), qlrtest.data("calibration/wiki.utf8"), qlrtest.data("wikitext2/wiki.test.raw"),
                   3, 5, rows)


if __name__ == "__main__":
    qlrtest.main()

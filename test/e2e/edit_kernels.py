#!/usr/bin/env python3
"""Kernels come from IR alone: their regions are edited as text, checked by qlr-opt, compiled, and the model computes what
the edited text says. Only layer 0 is edited, so kernels that were shared between layers no longer are."""
import json
import re

import numpy as np

import qlrformat
import qlrtest

CONFIG = qlrformat.base_config(64, 96, 2, 4, 2, 128)
IDS = list(range(3, 3 + 11))  # one chunk of 8, three of 1
KERNEL = re.compile(r"^ *%\w+(?::\d+)? = qlr\.kernel\(.*?^ *\}.*?$", re.M | re.S)


def edit(text, source, change):
    """Applies `change` to the text of every kernel of that source, in all functions."""
    count = 0

    def one(match):
        nonlocal count
        if f'source = "{source}"' not in match.group():
            return match.group()
        count += 1
        changed = change(match.group())
        assert changed != match.group(), match.group()
        return changed

    text = KERNEL.sub(one, text)
    assert count == 5, f"{count} kernels of {source}: expects one for each function"
    return text


def drop_bias(kernel):
    line, out, value = re.search(r"^( *(%\w+) = qlr\.bias_add (%\w+), .*)\n", kernel, re.M).groups()
    return re.sub(re.escape(out) + r"\b", value, kernel.replace(line + "\n", ""))


def swap_epilogue(kernel):
    return re.sub(r"qlr\.add (%\w+), (%\w+)", r"qlr.swiglu \1, \2", kernel)


def add_an_op(kernel):
    out, product, kind = re.search(r"(%\w+) = qlr\.add %\w+, (%\w+) : (.*)", kernel).groups()
    return re.sub(r"\n( *)qlr\.yield .*", rf"\n\1%again = qlr.add {out}, {product} : {kind}\n\1qlr.yield %again : {kind}", kernel)


def swap_operands(kernel):
    return re.sub(r"qlr\.swiglu (%\w+), (%\w+)", r"qlr.swiglu \2, \1", kernel)


class NoBias(qlrformat.Model):
    def __init__(self, directory):
        super().__init__(directory)
        for p in "qkv":
            self.layers[0][f"self_attn.{p}_proj"].bias = None


class OtherEpilogue(qlrformat.Model):
    def mlp_residual(self, layer, x, y):
        return qlrformat.silu(x) * y if layer == 0 else x + y


class OneOpMore(qlrformat.Model):
    def residual(self, layer, x, y):
        return x + 2 * y if layer == 0 else x + y


class OtherOperands(qlrformat.Model):
    def swiglu(self, layer, gate, up):
        return qlrformat.silu(up) * gate if layer == 0 else qlrformat.silu(gate) * up


EDITS = {
    "a bias is dropped": ("model.layers.0.self_attn.q_proj.k_proj.v_proj", drop_bias, NoBias),
    "an epilogue is swapped": ("model.layers.0.mlp.down_proj", swap_epilogue, OtherEpilogue),
    "an op is added": ("model.layers.0.self_attn.o_proj", add_an_op, OneOpMore),
    "operands change places": ("model.layers.0.mlp.down_proj", swap_operands, OtherOperands),
}


class EditKernels(qlrtest.Case):
    def setUp(self):
        super().setUp()
        self.text = self.tmp / "kernels.mlir"

    def model(self, codec):
        modules = {} if codec == "f32" else {
            f"model.layers.{n}.{s}": qlrformat.Module(codec, 8) for n in (0, 1) for s in qlrformat.layer_shapes(CONFIG)}
        return qlrformat.RandomCheckpoint(CONFIG, modules, seed=3).write(self.tmp / f"model-{codec}")

    def compile(self, directory, *options):
        out = self.tmp / "m.qlr"
        qlrtest.run("qlr", "compile", directory, "--target", "host", "--cache", "f32", "-o", out, *options)
        kernels = json.loads(qlrformat.read_safetensors(out)[1]["qlr.plan"])["kernels"]
        dump = self.tmp / "logits.f32"
        qlrtest.run_json("qlr", "run", out, "--prompt-ids", ",".join(map(str, IDS)), "--temp", 0, "-n", 0, "--dump-logits", dump)
        return np.fromfile(dump, np.float32).reshape(len(IDS), -1), len(kernels)

    def relative(self, got, want):
        return np.linalg.norm(got - want) / np.linalg.norm(want)

    def test_edits(self):
        for codec in ("f32", "int4"):
            directory = self.model(codec)
            qlrtest.run("qlr", "compile", directory, "--target", "host", "--cache", "f32", "--emit", "mlir", "--emit-stage",
                        "kernels", "-o", self.text)
            plain, kernels = self.compile(directory)
            with self.subTest(codec=codec, edit="none, through the text"):
                again, count = self.compile(directory, "--ir", self.text)
                self.assertTrue(np.array_equal(again, plain))
                self.assertEqual(count, kernels)
            for name, (source, change, reference) in EDITS.items():
                with self.subTest(codec=codec, edit=name):
                    edited, checked = self.tmp / "edited.mlir", self.tmp / "checked.mlir"
                    edited.write_text(edit(self.text.read_text(), source, change))
                    qlrtest.run("qlr-opt", edited, "-o", checked)
                    got, count = self.compile(directory, "--ir", checked)
                    self.assertLess(self.relative(got, reference(directory).logits(IDS, exact=False)), 2e-4)
                    self.assertGreater(self.relative(got, plain), 1e-2)
                    self.assertGreater(count, kernels)

    def test_deferred_norms(self):
        """A pass edits as well: statistics behind the products differ from statistics before them by rounding, which for
        int4 moves 16-bit activations to a neighbouring step now and then."""
        for codec, allowed in (("f32", 1e-5), ("int4", 2e-4)):
            directory, graph = self.model(codec), self.tmp / "graph.mlir"
            qlrtest.run("qlr", "compile", directory, "--target", "host", "--cache", "f32", "--emit", "mlir", "--emit-stage",
                        "graph", "-o", graph)
            qlrtest.run("qlr-opt", graph, "--qlr-to-kernels=defer-norm", "-o", self.text)
            text = self.text.read_text()
            # Two norms a layer and the last one, in five functions; q|k|v and gate|up are one product each.
            self.assertEqual([text.count(f"qlr.{op} ") for op in ("norm_apply", "scale_columns", "scale_tokens")], [0, 25, 25])
            plain, _ = self.compile(directory)
            deferred, _ = self.compile(directory, "--ir", self.text)
            self.assertFalse(np.array_equal(deferred, plain))
            self.assertLess(self.relative(deferred, plain), allowed, codec)

    def test_wrong_edits_are_refused(self):
        directory = self.model("f32")
        qlrtest.run("qlr", "compile", directory, "--target", "host", "--emit", "mlir", "--emit-stage", "kernels", "-o", self.text)
        text = self.text.read_text()
        out = self.tmp / "m.qlr"
        for name, wrong in {"a shape": text.replace("tensor<1x96xf32>", "tensor<1x95xf32>"),
                            "an op that is none": text.replace("qlr.bias_add", "qlr.bias_subtract"),
                            "no kernels": "module {}\n"}.items():
            with self.subTest(edit=name):
                edited = self.tmp / "edited.mlir"
                edited.write_text(wrong)
                done = qlrtest.run("qlr", "compile", directory, "--target", "host", "-o", out, "--ir", edited, check=False)
                self.assertEqual(done.returncode, 1, done.stderr)
                self.assertIn("error: ", done.stderr)
                self.assertFalse(out.exists())


if __name__ == "__main__":
    qlrtest.main()

#!/usr/bin/env python3
"""Bad input is refused by name: exit code not 0, one error line that names the file, no crash, no half file."""
import json
import os
import shutil
import signal
import subprocess
import time

import numpy as np

import qlrformat
import qlrtest

CONFIG = qlrformat.base_config(64, 96, 1, 4, 2, 128, tied=True)


def compressed(directory, codec="trellis2", rank=4):
    """A small compressed checkpoint without a tokenizer."""
    modules = {f"model.layers.0.{s}": qlrformat.Module(codec, rank) for s in qlrformat.layer_shapes(CONFIG)}
    return qlrformat.RandomCheckpoint(CONFIG, modules).write(directory)


def plain(directory):
    return qlrformat.RandomCheckpoint(CONFIG, {}).write(directory)


class BadInput(qlrtest.Case):
    def refused(self, *command, names, says=(), **options):
        """The program fails with one error line that holds every text of `names`, and one of `says` when given."""
        done = qlrtest.run(*command, check=False, timeout=120, **options)
        said = f"{' '.join(map(str, command))}\nexit code {done.returncode}\n{done.stderr}"
        self.assertGreater(done.returncode, 0, said)  # a signal would be negative
        errors = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
        self.assertEqual(len(errors), 1, said)
        for name in [names] if isinstance(names, str) else names:
            self.assertIn(name, errors[0], said)
        if says:
            self.assertTrue(any(s.lower() in errors[0].lower() for s in says), said)
        self.assertNotRegex(done.stderr, r"terminate called|Stack dump|AddressSanitizer|runtime error|what\(\)", said)
        self.assertEqual(done.stdout, "", said)
        return errors[0]

    def compile_refused(self, directory, names, says=()):
        out = self.tmp / "out"
        out.mkdir(exist_ok=True)
        self.refused("qlr", "compile", directory, "--target", "host", "-o", out / "m.qlr", names=names, says=says)
        self.assertEqual(list(out.iterdir()), [], "a refused compile leaves nothing")

    # ---- files that are no safetensors ----

    def directory_with(self, weights):
        directory = self.tmp / f"dir-{weights.stem}"
        shutil.copytree(qlrtest.DEMO, directory, ignore=shutil.ignore_patterns("*.txt", "*.py", "*.md"))
        (directory / "model.safetensors").chmod(0o644)
        shutil.copyfile(weights, directory / "model.safetensors")
        return directory

    def test_bad_safetensors(self):
        folder = qlrtest.data("negative_fixtures/safetensors")
        for path in sorted(folder.glob("bad_*.safetensors")):
            with self.subTest(file=path.name):
                self.refused("qlr", "inspect", path, names=path.name)
                directory = self.directory_with(path)
                self.compile_refused(directory, "model.safetensors")
                self.refused("qlr", "compress", directory, "-o", self.tmp / "c", "--calib", qlrtest.DEMO / "calibration.txt",
                             names="model.safetensors")
                self.assertFalse((self.tmp / "c" / "config.json").exists())
        for path in sorted(folder.glob("ok_*.safetensors")):
            with self.subTest(file=path.name):
                qlrtest.run("qlr", "inspect", path)

    def test_pointers_and_pages(self):
        folder = qlrtest.data("negative_fixtures")
        for name, says in (("lfs_pointer.model.safetensors", ["lfs"]), ("html_login_page.model.safetensors", ["html"])):
            with self.subTest(file=name):
                self.refused("qlr", "inspect", folder / name, names=name, says=says)
                self.compile_refused(self.directory_with(folder / name), "model.safetensors", says)
        with self.subTest(file="lfs_pointer.tokenizer.json"):
            directory = self.tmp / "tokenizer"
            shutil.copytree(qlrtest.DEMO, directory)
            (directory / "tokenizer.json").chmod(0o644)
            shutil.copyfile(folder / "lfs_pointer.tokenizer.json", directory / "tokenizer.json")
            self.refused("qlr", "tokenize", directory, names="tokenizer.json", says=["lfs"], stdin="text\n")

    def test_pointers_and_pages_of_our_own(self):
        page = self.tmp / "page.safetensors"
        page.write_text("<!DOCTYPE html><html><body>Sign in</body></html>\n")
        pointer = self.tmp / "pointer.safetensors"
        pointer.write_text("version https://git-lfs.github.com/spec/v1\noid sha256:" + "0" * 64 + "\nsize 123\n")
        empty = self.tmp / "empty.safetensors"
        empty.write_bytes(b"")
        self.refused("qlr", "inspect", page, names="page.safetensors", says=["html"])
        self.refused("qlr", "inspect", pointer, names="pointer.safetensors", says=["lfs"])
        self.refused("qlr", "inspect", empty, names="empty.safetensors")

    # ---- damaged checkpoints ----

    def test_truncated_checkpoint(self):
        directory = compressed(self.tmp / "c")
        path = directory / "model.safetensors"
        whole = path.read_bytes()
        header = 8 + int.from_bytes(whole[:8], "little")
        for size in (0, 7, 8, header // 2, header, header + 1, len(whole) // 2, len(whole) - 1):
            with self.subTest(size=size):
                path.write_bytes(whole[:size])
                self.compile_refused(directory, "model.safetensors")

    def test_flipped_checkpoint(self):
        directory = compressed(self.tmp / "c")
        path = directory / "model.safetensors"
        whole = path.read_bytes()
        base = 8 + int.from_bytes(whole[:8], "little")
        header = json.loads(whole[8:base])
        # One tensor of every kind: weights are read when kernels are compiled, so every case takes seconds.
        packed = ["model.layers.0.self_attn.k_proj.q.codes", "model.layers.0.self_attn.v_proj.q.scales",
                  "model.layers.0.mlp.down_proj.l.codes", "model.layers.0.mlp.up_proj.r.scales",
                  "model.layers.0.mlp_in.signs", "levels.trellis2"]
        rng = np.random.default_rng(1)
        for name in packed:
            with self.subTest(tensor=name):
                begin, end = header[name]["data_offsets"]
                damaged = bytearray(whole)
                damaged[base + int(rng.integers(begin, end))] ^= 1 << int(rng.integers(8))
                path.write_bytes(damaged)
                self.compile_refused(directory, name)

    def test_wrong_tensors(self):
        def change(edit):
            directory = compressed(self.tmp / "c")
            tensors, metadata = qlrformat.read_checkpoint(directory)
            edit(tensors, metadata)
            qlrformat.write_safetensors(directory / "model.safetensors", tensors, metadata)
            config = json.loads((directory / "config.json").read_text())
            hashes = config["quantization_config"]["tensors"]
            hashes.update({n: qlrformat.xxh64(t.data) for n, t in tensors.items() if n in hashes})
            (directory / "config.json").write_text(json.dumps(config))
            return directory

        q = "model.layers.0.self_attn.q_proj"

        def low_level(tensors, _):
            levels = tensors["levels.trellis2"].array().copy()
            levels[3] = -128
            tensors["levels.trellis2"] = qlrformat.Tensor.of(levels)

        def reshape(tensors, _):
            t = tensors[q + ".q.codes"]
            tensors[q + ".q.codes"] = qlrformat.Tensor("U8", (t.shape[0], t.shape[1] // 2, t.shape[2] * 2), t.data)

        def retype(tensors, _):
            t = tensors[q + ".q.scales"]
            tensors[q + ".q.scales"] = qlrformat.Tensor("BF16", t.shape, t.data)

        cases = {
            "levels.trellis2": low_level,
            q + ".q.codes": lambda t, m: t.pop(q + ".q.codes"),
            q + ".l.scales": lambda t, m: t.pop(q + ".l.scales"),
            "model.layers.0.attn_in.signs": lambda t, m: t.pop("model.layers.0.attn_in.signs"),
            "model.norm.weight": lambda t, m: t.pop("model.norm.weight"),
            q + ".bias": lambda t, m: t.pop(q + ".bias"),
        }
        for name, edit in cases.items():
            with self.subTest(tensor=name):
                self.compile_refused(change(edit), name)
        with self.subTest(case="codes of another shape"):
            self.compile_refused(change(reshape), q + ".q.codes")
        with self.subTest(case="scales of another type"):
            self.compile_refused(change(retype), q + ".q.scales")
        with self.subTest(case="level table without its unit"):
            self.compile_refused(change(lambda t, m: m.pop("levels.trellis2.unit")), "levels.trellis2")

    # ---- configurations ----

    def test_wrong_config_values(self):
        changes = {
            "rope_scaling": {"type": "yarn", "factor": 4.0},
            "use_sliding_window": True,
            "architectures": ["LlamaForCausalLM"],
            "hidden_act": "gelu",
            "hidden_size": [0, -64, 10**12, "64", 63, None],
            "intermediate_size": [0, 10**12],
            "num_hidden_layers": [0, 2, 10**9],
            "num_attention_heads": [0, 3, 10**9],
            "num_key_value_heads": [0, 3, 8],
            "vocab_size": [0, 129, -1],
            "rms_norm_eps": [-1.0, "x"],
            "rope_theta": [0, -5, "x"],
            "max_position_embeddings": [0, -1],
        }
        for key, values in changes.items():
            for value in values if isinstance(values, list) and key != "architectures" else [values]:
                with self.subTest(key=key, value=value):
                    directory = plain(self.tmp / "d")
                    (directory / "config.json").write_text(json.dumps({**CONFIG, key: value}))
                    # A value that is possible by itself is refused when tensors do not have that shape.
                    self.compile_refused(directory, [], [key, "config.json", "model.safetensors"])
        for key in ("hidden_size", "num_hidden_layers", "vocab_size", "intermediate_size", "num_attention_heads", "rope_theta"):
            with self.subTest(missing=key):
                directory = plain(self.tmp / "d")
                (directory / "config.json").write_text(json.dumps({k: v for k, v in CONFIG.items() if k != key}))
                self.compile_refused(directory, ["config.json", key])
        for key, value in (("rope_parameters", {"rope_type": "yarn", "rope_theta": 1e6, "factor": 4.0}),
                           ("layer_types", ["sliding_attention"])):
            with self.subTest(key=key):
                directory = plain(self.tmp / "d")
                (directory / "config.json").write_text(json.dumps({**CONFIG, key: value}))
                self.compile_refused(directory, "config.json")
        for text in ("", "[]", "{", "null", '{"architectures": ', "[" * 100000):
            with self.subTest(text=text[:20]):
                directory = plain(self.tmp / "d")
                (directory / "config.json").write_text(text)
                self.compile_refused(directory, "config.json")

    def test_wrong_quantization_config(self):
        q = "model.layers.0.self_attn.q_proj"

        def module(**values):
            return lambda c: c["modules"][q].update(values)

        cases = {
            "method": lambda c: c.update(quant_method="gptq"),
            "version": lambda c: c.update(version=99),
            "codec": module(codec="int5"),
            "rank": module(rank=5),
            "negative rank": module(rank=-1),
            "factors": module(factors="nothing"),
            "shape": module(shape=[64, 65]),
            "rotation": module(rotation=7),
            "unknown module": lambda c: c["modules"].update({"model.layers.7.mlp.up_proj": c["modules"][q]}),
            "modules": lambda c: c.update(modules=[]),
        }
        for name, edit in cases.items():
            with self.subTest(case=name):
                directory = compressed(self.tmp / "c")
                config = json.loads((directory / "config.json").read_text())
                edit(config["quantization_config"])
                (directory / "config.json").write_text(json.dumps(config))
                self.compile_refused(directory, [], ["config.json", q, "model.safetensors"])

    # ---- files that are not there ----

    def test_missing_files(self):
        directory = plain(self.tmp / "d")
        out = self.tmp / "m.qlr"
        with self.subTest(missing="directory"):
            self.compile_refused(self.tmp / "nowhere", "nowhere")
        with self.subTest(missing="config.json"):
            (directory / "config.json").rename(self.tmp / "config.json")
            self.compile_refused(directory, "config.json")
            (self.tmp / "config.json").rename(directory / "config.json")
        with self.subTest(missing="weights"):
            (directory / "model.safetensors").rename(self.tmp / "w")
            self.compile_refused(directory, "model.safetensors")
            (self.tmp / "w").rename(directory / "model.safetensors")
        with self.subTest(missing="artifact"):
            self.refused("qlr", "run", out, "--prompt-ids", "1", names="m.qlr")
        with self.subTest(missing="text"):
            self.refused("qlr", "eval", qlrtest.DEMO, "perplexity", "--text", self.tmp / "no.txt", "--protocol", "window:256",
                         names="no.txt", env={"XDG_CACHE_HOME": str(self.tmp)})
        with self.subTest(missing="calibration text"):
            self.refused("qlr", "compress", qlrtest.DEMO, "-o", self.tmp / "c", "--calib", self.tmp / "no.txt", names="no.txt")
            self.assertFalse((self.tmp / "c").exists())
        with self.subTest(missing="output folder"):
            self.refused("qlr", "compile", directory, "--target", "host", "-o", self.tmp / "no" / "m.qlr", names="m.qlr")

    def test_shards(self):
        tensors, metadata = qlrformat.read_checkpoint(plain(self.tmp / "d"))
        names = list(tensors)
        parts = {"model-00001-of-00002.safetensors": names[:5], "model-00002-of-00002.safetensors": names[5:]}

        def write(edit=lambda m: None, drop=None):
            directory = self.tmp / "sharded"
            shutil.rmtree(directory, ignore_errors=True)
            directory.mkdir()
            (directory / "config.json").write_text(json.dumps(CONFIG))
            for file, part in parts.items():
                if file != drop:
                    qlrformat.write_safetensors(directory / file, {n: tensors[n] for n in part}, metadata)
            weight_map = {n: f for f, part in parts.items() for n in part}
            edit(weight_map)
            (directory / "model.safetensors.index.json").write_text(
                json.dumps({"metadata": {"total_size": 0}, "weight_map": weight_map}))
            return directory

        first, second = parts
        with self.subTest(case="complete"):
            qlrtest.run("qlr", "compile", write(), "--target", "host", "-o", self.tmp / "ok.qlr")
        with self.subTest(case="a shard is missing"):
            self.compile_refused(write(drop=second), second)
        with self.subTest(case="a tensor is in no shard"):
            self.compile_refused(write(lambda m: m.pop(names[7])), names[7])
        with self.subTest(case="the index names the wrong shard"):
            self.compile_refused(write(lambda m: m.update({names[7]: first})), names[7])
        with self.subTest(case="a shard outside the directory"):
            self.compile_refused(write(lambda m: m.update({names[7]: "../d/model.safetensors"})), "index.json")
        with self.subTest(case="index is no JSON"):
            directory = write()
            (directory / "model.safetensors.index.json").write_text("{")
            self.compile_refused(directory, "model.safetensors.index.json")

    # ---- artifacts ----

    def artifact(self):
        if not hasattr(type(self), "whole"):
            out = self.shared_tmp / "artifact.qlr"
            qlrtest.run("qlr", "compile", compressed(self.shared_tmp / "source"), "--target", "host", "-o", out)
            type(self).whole = out.read_bytes()
        return type(self).whole

    def run_refused(self, data, names="m.qlr", says=()):
        path = self.tmp / "m.qlr"
        path.write_bytes(data)
        return self.refused("qlr", "run", path, "--prompt-ids", "1,2,3", "-n", "2", names=names, says=says)

    def test_artifact_runs(self):
        path = self.tmp / "m.qlr"
        path.write_bytes(self.artifact())
        qlrtest.run_json("qlr", "run", path, "--prompt-ids", "1,2,3", "-n", "2", "--temp", 0)

    def test_truncated_artifact(self):
        whole = self.artifact()
        header = 8 + int.from_bytes(whole[:8], "little")
        for size in (0, 5, 8, 100, header - 1, header, header + 64, len(whole) // 2, len(whole) - 64, len(whole) - 1):
            with self.subTest(size=size):
                self.run_refused(whole[:size])
        with self.subTest(case="bytes behind the end"):
            self.run_refused(whole + b"\0" * 64)

    def test_flipped_artifact(self):
        whole = self.artifact()
        header = 8 + int.from_bytes(whole[:8], "little")
        rng = np.random.default_rng(2)
        places = [*rng.integers(0, 8, 4), *rng.integers(8, header, 24), *rng.integers(header, len(whole), 24)]
        for place in map(int, places):
            with self.subTest(byte=place):
                damaged = bytearray(whole)
                damaged[place] ^= 1 << int(rng.integers(8))
                self.run_refused(bytes(damaged))

    def rewritten(self, edit):
        """The artifact with tensors and metadata changed by `edit`, all hashes made right again."""
        path = self.tmp / "edited.qlr"
        path.write_bytes(self.artifact())
        tensors, metadata = qlrformat.read_safetensors(path)
        edit(tensors, metadata)
        metadata["qlr.tensor_hashes"] = json.dumps({n: qlrformat.xxh64(t.data) for n, t in tensors.items()})
        metadata["qlr.header_hash"] = "0" * 16
        qlrformat.write_safetensors(path, tensors, metadata)
        whole = bytearray(path.read_bytes())
        size = int.from_bytes(whole[:8], "little")
        text = bytes(whole[8:8 + size])
        at = text.index(b"0" * 16, text.index(b'"qlr.header_hash"'))
        digest = qlrformat.xxh64(text).encode()
        whole[8 + at:8 + at + 16] = digest
        return bytes(whole)

    def test_rewritten_artifact_runs(self):
        path = self.tmp / "m.qlr"
        path.write_bytes(self.rewritten(lambda t, m: None))
        qlrtest.run_json("qlr", "run", path, "--prompt-ids", "1,2,3", "-n", "2", "--temp", 0)

    def test_artifact_without_its_kernels_does_not_run(self):
        with self.subTest(case="removed"):
            self.run_refused(self.rewritten(lambda t, m: t.pop("kernels/host")), ["m.qlr", "kernels/host"])

        def zeros(tensors, _):
            t = tensors["kernels/host"]
            tensors["kernels/host"] = qlrformat.Tensor("U8", t.shape, bytes(len(t.data)))

        with self.subTest(case="zeros"):
            self.run_refused(self.rewritten(zeros), ["m.qlr", "kernels/host"])

    def test_wrong_plans(self):
        def plan(edit):
            def change(_, metadata):
                value = json.loads(metadata["qlr.plan"])
                edit(value)
                metadata["qlr.plan"] = json.dumps(value)
            return change

        def step(edit):
            return plan(lambda p: edit(p["plans"][0]["steps"][0]))

        cases = {
            "no JSON": lambda t, m: m.update({"qlr.plan": "{"}),
            "no plan": lambda t, m: m.pop("qlr.plan"),
            "another artifact version": lambda t, m: m.update({"qlr.version": "99"}),
            "another plan version": plan(lambda p: p.update(version=99)),
            "another target": plan(lambda p: p.update(target="sm_99")),
            "kernel index": step(lambda s: s.update(kernel=10**6)),
            "argument beyond the weights": step(lambda s: s.update(args=[["w", 1 << 60]])),
            "argument of no kind": step(lambda s: s.update(args=[["q", 0]])),
            "negative offset": step(lambda s: s.update(args=[["s", -64]])),
            "no steps": plan(lambda p: p.update(plans=[])),
            "missing symbol": plan(lambda p: p["kernels"][0]["stages"][0].update(symbol="nothing")),
            "logits outside the workspace": plan(lambda p: p["plans"][0].update(logits_offset=1 << 40)),
            "huge workspace": plan(lambda p: p["plans"][0].update(workspace_bytes=1 << 60)),
            "zero heads": plan(lambda p: p["model"].update(heads=0)),
            "weights missing": lambda t, m: t.pop(next(n for n in t if n.startswith("weights/"))),
        }
        for name, edit in cases.items():
            with self.subTest(case=name):
                self.run_refused(self.rewritten(edit))

    def test_artifact_without_weights_does_not_run(self):
        out = self.tmp / "plan.qlr"
        qlrtest.run("qlr", "compile", compressed(self.tmp / "c"), "--target", "host", "--no-weights", "-o", out)
        self.refused("qlr", "run", out, "--prompt-ids", "1", names="plan.qlr", says=["weights"])

    # ---- run ----

    def test_wrong_run_options(self):
        path = self.tmp / "m.qlr"
        path.write_bytes(self.artifact())
        for options, says in ((["--prompt-ids", "1,128"], ["128"]), (["--prompt-ids", "-1"], ["-1"]),
                              (["--prompt-ids", "1,x"], ["x"]), (["--prompt-ids", "1", "--ctx-size", "100000"], ["512", "context"]),
                              (["-p", "text"], ["tokenizer"])):
            with self.subTest(options=options):
                self.refused("qlr", "run", path, *options, "-n", 2, names=[], says=says)
        with self.subTest(case="a prompt longer than the context"):
            self.refused("qlr", "run", path, "--prompt-ids", ",".join(["1"] * 40), "--ctx-size", 32, names=[], says=["context"])

    def test_not_finite_logits(self):
        checkpoint = qlrformat.RandomCheckpoint(CONFIG, {})
        weight = checkpoint.tensors["model.norm.weight"].array().copy()
        weight[3] = np.nan
        checkpoint.tensors["model.norm.weight"] = qlrformat.Tensor.of(weight)
        directory = checkpoint.write(self.tmp / "nan")
        qlrtest.run("qlr", "compile", directory, "--target", "host", "-o", self.tmp / "nan.qlr")
        self.refused("qlr", "run", self.tmp / "nan.qlr", "--prompt-ids", "1,2", "-n", 2, names=[], says=["finite", "nan"])

    # ---- interruptions ----

    def interrupted(self, command, out, number, delay):
        process = subprocess.Popen([str(qlrtest.BIN / "qlr"), *map(str, command)], stdout=subprocess.DEVNULL,
                                   stderr=subprocess.PIPE, text=True, start_new_session=True,
                                   # A shell's background job ignores SIGINT, and so would all that it starts.
                                   preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL))
        time.sleep(delay)
        if process.poll() is not None:
            process.communicate()
            return False
        # To the whole process group, as a terminal does: qlr is a driver in front of another program.
        os.killpg(process.pid, number)
        process.communicate(timeout=60)
        self.assertNotEqual(process.returncode, 0)
        return True

    def test_interrupted_compile(self):
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGKILL):
            for delay in (0.02, 0.2, 0.5):
                with self.subTest(signal=number.name, delay=delay):
                    out = self.tmp / f"{number.name}-{delay}"
                    out.mkdir()
                    if self.interrupted(["compile", qlrtest.DEMO, "--target", "host", "-o", out / "m.qlr"], out, number, delay):
                        self.assertFalse((out / "m.qlr").exists())

    def test_interrupted_compress_and_resume(self):
        base = ["compress", qlrtest.DEMO, "--codec", "int4", "--calib", qlrtest.DEMO / "calibration.txt", "--calib-windows", 8]
        qlrtest.run("qlr", *base, "-o", self.tmp / "whole", "--work", self.tmp / "work-whole")
        for number, delay in ((signal.SIGINT, 0.8), (signal.SIGKILL, 1.2)):
            with self.subTest(signal=number.name):
                out, work = self.tmp / number.name, self.tmp / f"work-{number.name}"
                options = [*base, "-o", out, "--work", work]
                if self.interrupted(options, out, number, delay):
                    self.assertFalse((out / "config.json").exists(), "an interrupted compress leaves no checkpoint")
                    qlrtest.run("qlr", *options, "--resume")
                for file in ("model.safetensors", "config.json"):
                    self.assertEqual((out / file).read_bytes(), (self.tmp / "whole" / file).read_bytes(), file)


if __name__ == "__main__":
    qlrtest.main()

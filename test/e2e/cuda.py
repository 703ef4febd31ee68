#!/usr/bin/env python3
"""The CUDA device runs whole models: through the fake driver, whose kernels are the emulator's. Errors are one message."""
import json
import os
import re
import shutil
import tarfile

import qlrtest

FAKE = qlrtest.BUILD / "test" / "libqlr-fake-cuda.so"
TINY = {"architectures": ["Qwen2ForCausalLM"], "model_type": "qwen2", "hidden_act": "silu", "hidden_size": 64,
        "intermediate_size": 136, "max_position_embeddings": 256, "num_attention_heads": 2, "num_hidden_layers": 2,
        "num_key_value_heads": 1, "rms_norm_eps": 1e-06, "rope_theta": 10000.0, "tie_word_embeddings": False,
        "torch_dtype": "bfloat16", "vocab_size": 250, "bos_token_id": 0, "eos_token_id": 0}
# What qlr_read of runtime/cuda/check/Bandwidth.cpp does, for the fake driver.
READ = """
void qlr_read(void *const *p, unsigned grid, unsigned threads) {
  const unsigned long *data = p[0];
  unsigned long words = *(unsigned long *)p[1], sum = 0;
  for (unsigned long i = 0; i < 2 * words; ++i)
    sum += data[i];
  *(unsigned *)p[2] = (unsigned)sum;
}
"""


class Cuda(qlrtest.Case):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        # A small model whose embedding is not its head, for two targets; its weights are random.
        config = cls.shared_tmp / "config.json"
        config.write_text(json.dumps(TINY))
        cls.directory, cls.tiny = cls.shared_tmp / "tiny", cls.shared_tmp / "tiny.qlr"
        qlrtest.run(qlrtest.ROOT / "tools" / "make-shape", config, "-o", cls.directory, "--codec", "trellis2", "--rank", 16,
                    "--fill")
        qlrtest.run("qlr-compile", cls.directory, "--target", "sm_86,emulator:sm_86,host", "-o", cls.tiny)

    def environment(self, *artifacts, **fake):
        """Under which programs find the fake driver; `fake` are its settings."""
        self.log = self.tmp / "log"
        return {"QLR_CUDA_DRIVER": str(FAKE), "QLR_FAKE_CUDA_ARTIFACT": ":".join(map(str, artifacts)),
                "QLR_FAKE_CUDA_LOG": str(self.log), "XDG_CACHE_HOME": str(self.tmp / "cache"),
                **{f"QLR_FAKE_CUDA_{name.upper()}": str(value) for name, value in fake.items()}}

    def generate(self, artifact, *options, ids="1,22,133,244,17,8,99,100,3,4", count=4, **fake):
        out = qlrtest.run_json("qlr-run", artifact, "--prompt-ids", ids, "-n", count, "--ignore-eos", "--temp", 0, *options,
                               env=self.environment(artifact, **fake))
        if self.log.exists():
            self.assertNotIn("wrong: ", self.log.read_text())
        return out

    def error(self, artifact, *options, **fake):
        done = qlrtest.run("qlr-run", artifact, "--prompt-ids", "1,2,3", "-n", 2, *options, check=False,
                           env=self.environment(artifact, **fake))
        self.assertEqual(done.returncode, 1, done.stderr)
        self.assertEqual(done.stdout, "")
        self.assertEqual(done.stderr.count("\n"), 1, done.stderr)
        self.assertNotIn("wrong: ", self.log.read_text() if self.log.exists() else "")
        return done.stderr

    def test_a_compressed_model(self):
        host = self.generate(self.tiny, "--device", "host")
        first = self.generate(self.tiny)  # its first target is a GPU's
        self.assertEqual(first["ids"], host["ids"])
        self.assertIn("graph launched", self.log.read_text())
        for options, fake in ((["--device", "cuda:0", "--embedding", "device"], {}), (["--head", "host"], {}),
                              ([], {"seed": 7, "multiprocessors": 5}), (["--prefill-chunk", 1], {}),
                              ([], {"capability": 90})):
            with self.subTest(options=options, fake=fake):
                again = self.generate(self.tiny, *options, **fake)
                self.assertEqual(again["ids"], first["ids"])
                self.assertEqual(again["logits_hash"], first["logits_hash"])

    def test_the_demo_model(self):
        artifact = self.tmp / "demo.qlr"
        qlrtest.run("qlr-compile", qlrtest.DEMO, "--target", "host,sm_86,emulator:sm_86", "-o", artifact)
        ids = "12,500,33,77,1,90,1800,45,6,7"
        host = self.generate(artifact, ids=ids, count=6)
        for device in ("cuda", "emulator"):
            with self.subTest(device=device):
                found = self.generate(artifact, "--device", device, ids=ids, count=6)
                self.assertEqual(found["ids"], host["ids"])
                self.assertEqual(found["text"], host["text"])

    def test_errors(self):
        plain = self.tmp / "host.qlr"
        newer = self.tmp / "sm_90.qlr"
        qlrtest.run("qlr-compile", self.directory, "--target", "host", "-o", plain)
        qlrtest.run("qlr-compile", self.directory, "--target", "sm_90,emulator:sm_90", "-o", newer)
        kernel = "k0"
        for name, artifact, options, fake, message in (
                ("no device", self.tiny, [], {"devices": 0}, "CUDA: found a driver and no device"),
                ("old driver", newer, [], {"version": 11050, "capability": 90}, "found a driver for CUDA 11.5, which takes PTX "
                 "up to 7.5, expected CUDA 11.8 or newer, for PTX 7.8"),
                ("little memory", self.tiny, [], {"memory": 128_100_000}, "the largest context that fits is --ctx-size "),
                ("a limit", self.tiny, ["--memory-limit", "300kB"], {}, "the largest context that fits is --ctx-size "),
                ("host artifact", plain, ["--device", "cuda"], {}, "found an artifact for host, expected one that runs on cuda:0 "
                 "(Fake GPU, compute capability 8.6); compile with --target sm_86"),
                ("newer artifact", newer, [], {}, "found an artifact for sm_90, emulator:sm_90, expected one that runs on cuda:0"),
                ("compiler", self.tiny, [], {"failing": "jit"}, "error : Unknown symbol 'planted'"),
                ("fault", self.tiny, [], {"fault": kernel}, "found a fault of a kernel: CUDA_ERROR_ILLEGAL_ADDRESS")):
            with self.subTest(error=name):
                self.assertIn(message, self.error(artifact, *options, **fake))

    def test_no_driver(self):
        done = qlrtest.run("qlr-run", self.tiny, "--prompt-ids", "1", check=False,
                           env={"QLR_CUDA_DRIVER": "/nowhere/libcuda.so"})
        self.assertEqual((done.returncode, done.stderr.count("\n")), (1, 1))
        self.assertIn("found no driver", done.stderr)

    def test_72b_fits_a_24_gb_card(self):
        config = qlrtest.data("qwen2_configs/Qwen2.5-72B-Instruct.config.json")
        directory, artifact = self.tmp / "72b", self.tmp / "72b.qlr"
        qlrtest.run(qlrtest.ROOT / "tools" / "make-shape", config, "-o", directory, "--codec", "trellis2", "--rank", 128,
                    "--factors", "int4", "--head-codec", "int8")
        qlrtest.run("qlr-compile", directory, "--target", "sm_86", "--no-weights", "-o", artifact)
        for what, path in (("artifact", artifact), ("directory", directory)):
            with self.subTest(path=what):
                told = qlrtest.run_json("qlr", "inspect", path, "--target", "sm_86", "--ctx-size", 4096,
                                        env={"XDG_CACHE_HOME": str(self.tmp / "cache")})
                memory = told["memory"]
                self.assertEqual(set(memory), {"weights", "cache", "workspace", "total", "host"})
                self.assertEqual(memory["total"], memory["weights"] + memory["cache"] + memory["workspace"])
                self.assertLess(memory["total"], 22e9)
                # bf16 keys and values; the embedding int8 with one F16 scale a row, on the host; the head is not.
                self.assertEqual(memory["cache"], 2 * 80 * 8 * 128 * 2 * 4096)
                self.assertAlmostEqual(memory["host"], 152064 * (8192 + 2), delta=1000)
                self.assertGreater(memory["weights"], 18e9)
        # The longest context within 22 GB is one that fits, and 64 positions more do not.
        text = qlrtest.run("qlr", "inspect", artifact, "-c", 0, "--memory-limit", "22GB").stdout
        longest = int(re.search(r"for a context of (\d+)", text)[1])
        self.assertGreater(longest, 4096)
        for more, code in ((0, 0), (64, 1)):
            done = qlrtest.run("qlr", "inspect", artifact, "-c", longest + more, "--memory-limit", "22GB", check=False)
            self.assertEqual(done.returncode, code)

    def test_gpu_check(self):
        bundle = self.tmp / "bundle.tar.gz"
        qlrtest.run(qlrtest.ROOT / "tools" / "gpu-check", "--pack", "--build", qlrtest.BUILD, "--targets", "sm_86", "--emulate",
                    "--models", "trellis2-hmma-lut2x32 trellis2", "-o", bundle)
        self.assertLess(bundle.stat().st_size, 60e6)
        with tarfile.open(bundle) as tar:
            tar.extractall(self.tmp)
        root = self.tmp / "gpu-check"
        (self.tmp / "read.c").write_text(READ)
        qlrtest.run(shutil.which(os.environ.get("CC", "cc")), "-shared", "-fPIC", "-O1", "-o", self.tmp / "read.so",
                    self.tmp / "read.c")
        artifacts = sorted(root.glob("*/*.qlr"))
        self.assertEqual([a.name for a in artifacts], ["trellis2-hmma-lut2x32.qlr", "trellis2.qlr", "tiny.qlr"])
        environment = self.environment(*artifacts, kernels=self.tmp / "read.so")
        done = qlrtest.run(root / "gpu-check", "--quick", "--bytes", 1000000, env=environment)
        self.assertNotIn("wrong: ", self.log.read_text())
        for part in ("# Fake GPU", "Copy bandwidth", "| trellis2 |", "| trellis2-hmma-lut2x32 |", "## tiny (sm_86)", "lm_head", "Everything passed."):
            self.assertIn(part, done.stdout)
        self.assertEqual(done.stdout, (root / "results.md").read_text())
        result = json.loads((root / "results.json").read_text())
        self.assertTrue(result["passed"])
        for row in result["parity"]:
            self.assertTrue(row["same_twice"] and row["same_elsewhere"])
            self.assertEqual(row["same_ids"], row["ids"])
        plan = {p["tokens"]: p for p in result["shapes"][0]["plans"]}
        self.assertEqual(set(plan), {1, 8})
        for tokens, whole in plan.items():
            kernels = [k for k in result["shapes"][0]["kernels"] if k["tokens"] == tokens]
            self.assertEqual(sum(k["launches"] * k["weight_bytes"] for k in kernels), whole["weight_bytes"])
            self.assertTrue(all(k["seconds"] > 0 for k in kernels))
        # A kernel that goes wrong fails the check, by name and with exit code 1.
        for change, named in (({"QLR_FAKE_CUDA_FAULT": "k0"}, "CUDA_ERROR_ILLEGAL_ADDRESS"),
                              ({"QLR_FAKE_CUDA_CAPABILITY": "80"}, "found an artifact for")):
            with self.subTest(change=change):
                done = qlrtest.run(root / "gpu-check", "--quick", "--bytes", 1000000, env={**environment, **change}, check=False)
                self.assertEqual(done.returncode, 1, done.stderr)
                self.assertIn("**Something failed.**", done.stdout)
                self.assertIn(named, done.stdout)


if __name__ == "__main__":
    qlrtest.main()

# lit configuration of the .mlir tests.
#   lit --param qlr_build=build/release --param llvm_tools=/usr/lib/llvm-22/bin test/dialect
# QLR_ROUNDTRIP=1 in the environment: every test also writes its IR and reads it back.
import os

import lit.formats

config.name = "qlr"
config.test_format = lit.formats.ShTest(True)
config.suffixes = [".mlir", ".test"]
config.excludes = ["e2e", "unit", "fuzz", "models", "Inputs"]
config.test_source_root = os.path.dirname(__file__)

build = os.path.abspath(lit_config.params.get("qlr_build", "build/release"))
llvm_tools = lit_config.params.get("llvm_tools", "/usr/lib/llvm-22/bin")
config.test_exec_root = os.path.join(build, "lit")

opt = os.path.join(build, "bin", "qlr-opt")
if os.environ.get("QLR_ROUNDTRIP"):
    opt += " --verify-roundtrip"
config.substitutions += [
    ("%bin", os.path.join(build, "bin")),
    ("qlr-opt", opt),
    ("%source", os.path.dirname(config.test_source_root)),
    ("%llvm-tools", llvm_tools),
]
config.environment["PATH"] = os.pathsep.join(
    [os.path.join(build, "bin"), llvm_tools, os.environ.get("PATH", "")])
# Captured names do not leak past a CHECK-LABEL.
config.environment["FILECHECK_OPTS"] = "--enable-var-scope --dump-input-filter=all"
if os.path.exists(os.path.join(build, "bin", "qlr-compile")):
    config.available_features.add("qlr-compile")

"""lit configuration of all .mlir tests: programs come from the build folder given with --param qlr_build=DIR."""
import os

import lit.formats

config.name = "qlr"
config.test_format = lit.formats.ShTest(True)
config.suffixes = [".mlir"]
config.excludes = ["unit", "e2e", "models", "Inputs"]
config.test_source_root = os.path.dirname(__file__)

build = lit_config.params.get("qlr_build", os.path.join(config.test_source_root, "..", "build", "release"))
tools = lit_config.params.get("llvm_tools", "/usr/lib/llvm-22/bin")
config.test_exec_root = os.path.join(build, "lit")
os.makedirs(config.test_exec_root, exist_ok=True)
config.environment["PATH"] = os.pathsep.join([os.path.join(build, "bin"), tools, os.environ.get("PATH", "")])
config.environment["FILECHECK_OPTS"] = "--enable-var-scope"
for name in ("ASAN_OPTIONS", "UBSAN_OPTIONS"):
    if name in os.environ:
        config.environment[name] = os.environ[name]
config.substitutions.append(("%source", os.path.dirname(config.test_source_root)))
if os.path.exists(os.path.join(build, "bin", "qlr-compile")):
    config.available_features.add("qlr-compile")

"""A second definition of the formats, in numpy and fp64: codecs, rotation, low-rank branch, compressed checkpoints, and the
forward pass of a Qwen2 model. Written from docs/formats.md alone, so that tests compare two independent readings of it.
"""
import ctypes
import ctypes.util
import dataclasses
import json
import pathlib
import re
import struct

import numpy as np

# ---- safetensors ----------------------------------------------------------------------------------------------------

ITEM = {"U8": 1, "I8": 1, "F16": 2, "BF16": 2, "F32": 4, "F64": 8, "I32": 4, "I64": 8}
NUMPY = {"U8": np.uint8, "I8": np.int8, "F16": np.float16, "F32": np.float32, "F64": np.float64, "I32": np.int32,
         "I64": np.int64}


def bf16_bits(x):
    """fp32 -> bf16, round to nearest even, as uint16."""
    bits = np.ascontiguousarray(x, np.float32).view(np.uint32)
    return ((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16).astype(np.uint16)


def bf16_values(bits):
    return (np.asarray(bits, np.uint16).astype(np.uint32) << 16).view(np.float32)


@dataclasses.dataclass
class Tensor:
    dtype: str
    shape: tuple
    data: bytes

    @staticmethod
    def of(array, dtype=None):
        array = np.asarray(array)
        if dtype == "BF16":
            return Tensor("BF16", array.shape, bf16_bits(array).tobytes())
        dtype = dtype or {v: k for k, v in NUMPY.items()}[array.dtype.type]
        return Tensor(dtype, array.shape, np.ascontiguousarray(array, NUMPY[dtype]).tobytes())

    def array(self):
        if self.dtype == "BF16":
            return bf16_values(np.frombuffer(self.data, np.uint16)).reshape(self.shape)
        return np.frombuffer(self.data, NUMPY[self.dtype]).reshape(self.shape)


def write_safetensors(path, tensors, metadata=None):
    header, at = {}, 0
    if metadata:
        header["__metadata__"] = metadata
    for name, t in tensors.items():
        header[name] = {"dtype": t.dtype, "shape": list(t.shape), "data_offsets": [at, at + len(t.data)]}
        at += len(t.data)
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-(len(text) + 8) % 64)
    with open(path, "wb") as f:
        f.write(struct.pack("<Q", len(text)) + text)
        for t in tensors.values():
            f.write(t.data)


def read_safetensors(path):
    """(tensors, metadata) of a file."""
    raw = pathlib.Path(path).read_bytes()
    size = struct.unpack_from("<Q", raw)[0]
    header = json.loads(raw[8:8 + size])
    metadata = header.pop("__metadata__", {})
    base = 8 + size
    return {n: Tensor(t["dtype"], tuple(t["shape"]), raw[base + t["data_offsets"][0]:base + t["data_offsets"][1]])
            for n, t in header.items()}, metadata


def read_checkpoint(directory):
    """(tensors, metadata) of a directory, single file or sharded."""
    directory = pathlib.Path(directory)
    index = directory / "model.safetensors.index.json"
    files = [directory / "model.safetensors"]
    if index.exists():
        files = [directory / f for f in sorted(set(json.loads(index.read_text())["weight_map"].values()))]
    tensors, metadata = {}, {}
    for file in files:
        t, m = read_safetensors(file)
        tensors.update(t)
        metadata.update(m)
    return tensors, metadata


# ---- XXH64 ----------------------------------------------------------------------------------------------------------

def _load_xxhash():
    for name in ("libxxhash.so.0", ctypes.util.find_library("xxhash")):
        try:
            function = ctypes.CDLL(name).XXH64
        except (OSError, TypeError, AttributeError):
            continue
        function.restype = ctypes.c_uint64
        function.argtypes = [ctypes.c_char_p, ctypes.c_size_t, ctypes.c_uint64]
        return function
    raise RuntimeError("libxxhash.so.0 is missing: tools/setup installs libxxhash-dev")


_xxh64 = _load_xxhash()


def xxh64(data):
    """16 lower-case hex digits, seed 0."""
    return "%016x" % _xxh64(bytes(data), len(data), 0)


# ---- codecs ---------------------------------------------------------------------------------------------------------

@dataclasses.dataclass(frozen=True)
class Codec:
    """A codec by its name: intB, intBgN, trellisB, trellisBw8, bf16, f32."""
    name: str

    def __post_init__(self):
        if not re.fullmatch(r"int(2|3|4|8)(g(32|64|128))?|trellis[234](w8)?|bf16|f32", self.name):
            raise ValueError(f"no codec {self.name}")

    @property
    def is_float(self):
        return self.name in ("bf16", "f32")

    @property
    def is_trellis(self):
        return self.name.startswith("trellis")

    @property
    def bits(self):
        return {"bf16": 16, "f32": 32}.get(self.name) or int(re.search(r"\d", self.name).group())

    @property
    def group(self):
        found = re.search(r"g(\d+)$", self.name)
        return int(found.group(1)) if found else 0

    @property
    def window(self):
        return 0 if not self.is_trellis else 8 if self.name.endswith("w8") else 7

    @property
    def activation_bits(self):
        return 0 if self.is_float else 8 if self.bits <= 3 else 16

    def groups(self, columns):
        return 1 if not self.group else -(-columns // self.group)

    def code_shape(self, rows, columns):
        return (-(-rows // 16), -(-columns // 4), 8 * self.bits)

    def scale_shape(self, rows, columns):
        padded = -(-rows // 16) * 16
        return (padded, self.groups(columns)) if self.group else (padded,)

    def values(self, codes, levels=None, unit=None):
        """Codes [strips, column tiles, bytes] -> values before the scale, fp64 [padded rows, padded columns]."""
        strips, tiles, _ = codes.shape
        b, n = self.bits, 64 * self.bits
        bits = np.unpackbits(codes, axis=-1, bitorder="little")
        i = np.arange(64)
        if self.is_trellis:
            first, count = b * i + b - self.window, self.window
        else:
            first, count = b * i, b
        field = np.zeros((strips, tiles, 64), np.int64)
        for k in range(count):
            field |= bits[..., (first + k) % n].astype(np.int64) << k
        if self.is_trellis:
            value = levels.astype(np.float64)[field] * unit
        elif b == 8:
            value = field - 128.0
        else:
            value = (2 * field - 2**b + 1) / 2.0
        # 64 weights of a tile are 16 rows of 4 columns; strips follow one another.
        return value.reshape(strips, tiles, 16, 4).transpose(0, 2, 1, 3).reshape(strips * 16, tiles * 4)

    def dequantize(self, codes, scales, rows, columns, levels=None, unit=None):
        value = self.values(codes, levels, unit)[:rows, :columns]
        scale = scales.astype(np.float64)[:rows]
        if self.group:
            return value * np.repeat(scale, self.group, axis=1)[:, :columns]
        return value * scale[:, None]

    def random(self, rng, rows, columns, std):
        """Random codes and scales whose values have about the standard deviation given; padding rows have scale 0."""
        codes = rng.integers(0, 256, self.code_shape(rows, columns), dtype=np.uint8)
        if self.bits == 8:
            codes = np.maximum(codes, 1)
        step = {2: 1.118, 3: 2.291, 4: 4.61, 8: 73.6}[self.bits] if not self.is_trellis else 1.0
        scales = np.zeros(self.scale_shape(rows, columns), np.float16)
        scales[:rows] = (std / step * rng.uniform(0.5, 1.5, scales[:rows].shape)).astype(np.float16)
        return codes, scales


def random_levels(rng, codec, odd):
    """A level table of random values with its unit: any table is valid, -128 excepted. The compressor's are odd,
    level[~i] = -level[i], which kernels may make use of."""
    levels = np.clip(np.rint(rng.standard_normal(2**codec.window) * 40), -127, 127).astype(np.int8)
    if odd:
        levels[len(levels) // 2:] = -levels[:len(levels) // 2][::-1]
    return levels, float(np.float32(1 / 40))


# ---- rotation and activations ---------------------------------------------------------------------------------------

def rotation_block(columns, limit):
    """The largest power of two <= limit that divides columns; 0 stays 0 (not rotated)."""
    if not limit:
        return 0
    h = 1
    while h * 2 <= limit and columns % (h * 2) == 0:
        h *= 2
    return h


def hadamard(n):
    """Sylvester order, not scaled."""
    h = np.ones((1, 1))
    while len(h) < n:
        h = np.block([[h, h], [h, -h]])
    return h


def unpack_signs(packed, columns):
    return 1.0 - 2.0 * np.unpackbits(packed, bitorder="little")[:columns]


def rotate(x, signs, h):
    """x' = H (s * x) / sqrt(h) in consecutive blocks of h columns; x is [tokens, columns]."""
    if not h:
        return x
    blocks = (x * signs).reshape(len(x), -1, h)
    return (blocks @ hadamard(h) / np.sqrt(h)).reshape(x.shape)


def quantized_activations(x, bits):
    """What the kernels see of x [tokens, columns]: 8 or 16 bits per block of 128 columns, in fp64; 0 bits = exact."""
    if not bits:
        return x
    out = np.zeros_like(x)
    for at in range(0, x.shape[1], 128):
        block = x[:, at:at + 128]
        scale = np.abs(block).max(axis=1, keepdims=True) / 32639
        with np.errstate(divide="ignore", invalid="ignore"):
            x16 = np.where(scale > 0, np.rint(block / scale), 0)
        hi = np.floor_divide(x16 + 128, 256)
        out[:, at:at + 128] = x16 * scale if bits == 16 else hi * 256 * scale
    return out


# ---- compressed linears and checkpoints -----------------------------------------------------------------------------

@dataclasses.dataclass
class Linear:
    """A matrix as the formats define it: dense parts in fp64, codecs for the precision of its activations."""
    codec: Codec
    q: np.ndarray
    l: np.ndarray = None
    r: np.ndarray = None
    factors: Codec = None
    signs: np.ndarray = None
    rotation: int = 0
    bias: np.ndarray = None

    def __call__(self, x, exact=True):
        """[tokens, columns] -> [tokens, rows] in fp64; exact=False rounds activations as the kernels do."""
        x = rotate(x, self.signs, self.rotation)
        y = (x if exact else quantized_activations(x, self.codec.activation_bits)) @ self.q.T
        if self.l is not None:
            t = (x if exact else quantized_activations(x, self.factors.activation_bits)) @ self.r.T
            y = y + t @ self.l.T
        return y if self.bias is None else y + self.bias


def load_linear(tensors, metadata, quant, module, shape):
    """The Linear of a module in a compressed or plain checkpoint."""
    entry = quant.get("modules", {}).get(module) if quant else None
    bias = tensors[module + ".bias"].array().astype(np.float64) if module + ".bias" in tensors else None
    if entry is None:
        dtype = tensors[module + ".weight"].dtype
        weight = tensors[module + ".weight"].array().astype(np.float64)
        return Linear(Codec("bf16" if dtype == "BF16" else "f32"), weight, bias=bias)

    def part(name, codec, rows, columns):
        levels = unit = None
        if codec.is_trellis:
            levels = tensors["levels." + codec.name].array()
            unit = float(metadata[f"levels.{codec.name}.unit"])
        return codec.dequantize(tensors[name + ".codes"].array(), tensors[name + ".scales"].array(), rows, columns, levels,
                                unit)

    codec = Codec(entry["codec"])
    rows, columns = shape
    if codec.is_float:
        linear = Linear(codec, tensors[module + ".weight"].array().astype(np.float64), bias=bias)
    else:
        linear = Linear(codec, part(module + ".q", codec, rows, columns), bias=bias)
    if entry.get("rank", 0):
        linear.factors = Codec(entry["factors"])
        linear.l = part(module + ".l", linear.factors, rows, entry["rank"])
        linear.r = part(module + ".r", linear.factors, entry["rank"], columns)
    linear.rotation = entry.get("rotation", 0)
    if linear.rotation:
        linear.signs = unpack_signs(tensors[entry["input"] + ".signs"].array(), columns)
    return linear


INPUTS = {"self_attn.q_proj": "attn_in", "self_attn.k_proj": "attn_in", "self_attn.v_proj": "attn_in",
          "self_attn.o_proj": "attn_out", "mlp.gate_proj": "mlp_in", "mlp.up_proj": "mlp_in", "mlp.down_proj": "mlp_out"}


def layer_shapes(config):
    """{module suffix: (rows, columns)} of one decoder layer."""
    d = config["hidden_size"]
    head = config.get("head_dim") or d // config["num_attention_heads"]
    q, kv = config["num_attention_heads"] * head, config["num_key_value_heads"] * head
    f = config["intermediate_size"]
    return {"self_attn.q_proj": (q, d), "self_attn.k_proj": (kv, d), "self_attn.v_proj": (kv, d),
            "self_attn.o_proj": (d, q), "mlp.gate_proj": (f, d), "mlp.up_proj": (f, d), "mlp.down_proj": (d, f)}


def base_config(hidden, ffn, layers, heads, kv_heads, vocab, theta=10000.0, tied=False, positions=512, eps=1e-6,
                dtype="float32"):
    """config.json of a Qwen2 model, first generation."""
    return {"architectures": ["Qwen2ForCausalLM"], "model_type": "qwen2", "hidden_act": "silu", "hidden_size": hidden,
            "intermediate_size": ffn, "num_hidden_layers": layers, "num_attention_heads": heads,
            "num_key_value_heads": kv_heads, "vocab_size": vocab, "max_position_embeddings": positions,
            "rms_norm_eps": eps, "rope_theta": theta, "tie_word_embeddings": tied, "torch_dtype": dtype,
            "use_sliding_window": False, "bos_token_id": 0, "eos_token_id": None, "transformers_version": "4.40.1"}


@dataclasses.dataclass
class Module:
    """How a random checkpoint stores one module."""
    codec: str
    rank: int = 0
    factors: str = "int4"
    zero: bool = False  # any codes, with scales that make all weights 0


class RandomCheckpoint:
    """A random model; modules named in `compress` are stored with a codec, the others as plain floats."""

    def __init__(self, config, compress, rotation=128, seed=1, dtype="F32", overrides=None, odd_levels=False):
        self.config = dict(config)
        self.rng = np.random.default_rng(seed)
        self.tensors, self.metadata, self.modules = {}, {}, {}
        self.rotation, self.dtype, self.odd_levels = rotation, dtype, odd_levels
        overrides = overrides or {}
        d, vocab = config["hidden_size"], config["vocab_size"]
        self._plain("model.embed_tokens", vocab, d, 1.0, compress, overrides)
        self.tensors["model.norm.weight"] = Tensor.of(self._norm(d), dtype)
        if not config["tie_word_embeddings"]:
            self._plain("lm_head", vocab, d, d**-0.5, compress, overrides)
        for layer in range(config["num_hidden_layers"]):
            prefix = f"model.layers.{layer}."
            for name in ("input_layernorm", "post_attention_layernorm"):
                self.tensors[prefix + name + ".weight"] = Tensor.of(self._norm(d), dtype)
            for suffix, (rows, columns) in layer_shapes(config).items():
                self._plain(prefix + suffix, rows, columns, columns**-0.5, compress, overrides, prefix + INPUTS[suffix])
                if suffix in ("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"):
                    bias = overrides.get(prefix + suffix + ".bias")
                    bias = self.rng.standard_normal(rows) * 0.1 if bias is None else bias
                    self.tensors[prefix + suffix + ".bias"] = Tensor.of(bias, dtype)

    def _norm(self, n):
        return self.rng.uniform(0.5, 1.5, n)

    def _plain(self, module, rows, columns, std, compress, overrides, rotated_input=""):
        how = compress.get(module)
        if how is None or Codec(how.codec).is_float:
            weight = overrides.get(module)
            weight = self.rng.standard_normal((rows, columns)) * std if weight is None else weight
            dtype = self.dtype if how is None else {"bf16": "BF16", "f32": "F32"}[how.codec]
            self.tensors[module + ".weight"] = Tensor.of(weight, dtype)
            if how is None:
                return
        # Floats are stored as they are, so their input is not rotated.
        h = rotation_block(columns, self.rotation) if rotated_input and not Codec(how.codec).is_float else 0
        if h and rotated_input + ".signs" not in self.tensors:
            bits = self.rng.integers(0, 2, columns, dtype=np.uint8)
            self.tensors[rotated_input + ".signs"] = Tensor.of(np.packbits(bits, bitorder="little"))
        codec = Codec(how.codec)
        if not codec.is_float:
            self._part(module + ".q", codec, rows, columns, 0 if how.zero else std)
        if how.rank:
            self._part(module + ".l", Codec(how.factors), rows, how.rank, how.rank**-0.5)
            self._part(module + ".r", Codec(how.factors), how.rank, columns, std)
        self.modules[module] = {"codec": how.codec, "shape": [rows, columns], "rank": how.rank, "factors": how.factors,
                                "rotation": h, "input": rotated_input if h else "",
                                "source_hash": "0" * 16, "correlation": 1.0, "error": 0.0}

    def _part(self, name, codec, rows, columns, std):
        # What is zero leaves the other weights as they would be without it.
        rng = self.rng if std else np.random.default_rng(1)
        codes, scales = codec.random(rng, rows, columns, std)
        self.tensors[name + ".codes"] = Tensor.of(codes)
        self.tensors[name + ".scales"] = Tensor.of(scales)
        if codec.is_trellis and "levels." + codec.name not in self.tensors:
            levels, unit = random_levels(self.rng, codec, self.odd_levels)
            self.tensors["levels." + codec.name] = Tensor.of(levels)
            self.metadata[f"levels.{codec.name}.unit"] = repr(unit)

    def quantization_config(self):
        packed = {n: xxh64(t.data) for n, t in self.tensors.items()
                  if re.search(r"\.(codes|scales|signs)$", n) or n.startswith("levels.")}
        return {"quant_method": "qlr", "version": 1, "seed": 1, "rotation": self.rotation, "feedback": "none",
                "configuration_hash": "0" * 16, "calibration": {"hash": "0" * 16, "windows": 1, "length": 256},
                "modules": self.modules, "tensors": packed}

    def write(self, directory):
        directory = pathlib.Path(directory)
        directory.mkdir(parents=True, exist_ok=True)
        config = dict(self.config)
        if self.modules:
            config["quantization_config"] = self.quantization_config()
        (directory / "config.json").write_text(json.dumps(config))
        write_safetensors(directory / "model.safetensors", self.tensors, {"format": "pt", **self.metadata})
        return directory


# ---- the model in fp64 ----------------------------------------------------------------------------------------------

def silu(x):
    return x / (1 + np.exp(-x))


class Model:
    """Forward pass of a plain or compressed Qwen2 directory in fp64."""

    def __init__(self, directory):
        directory = pathlib.Path(directory)
        self.config = c = json.loads((directory / "config.json").read_text())
        self.tensors, metadata = read_checkpoint(directory)
        quant = c.get("quantization_config")
        d, vocab = c["hidden_size"], c["vocab_size"]
        self.embed = load_linear(self.tensors, metadata, quant, "model.embed_tokens", (vocab, d)).q
        self.head = (Linear(Codec("f32"), self.embed) if c.get("tie_word_embeddings") and "lm_head.weight" not in self.tensors
                     else load_linear(self.tensors, metadata, quant, "lm_head", (vocab, d)))
        if c.get("tie_word_embeddings") and quant and "model.embed_tokens" in quant["modules"]:
            self.head = load_linear(self.tensors, metadata, quant, "model.embed_tokens", (vocab, d))
        self.layers = [{s: load_linear(self.tensors, metadata, quant, f"model.layers.{n}.{s}", shape)
                        for s, shape in layer_shapes(c).items()} for n in range(c["num_hidden_layers"])]
        self.heads, self.kv_heads = c["num_attention_heads"], c["num_key_value_heads"]
        self.head_dim = c.get("head_dim") or d // self.heads
        self.theta = c.get("rope_theta") or c["rope_parameters"]["rope_theta"]
        self.eps = c["rms_norm_eps"]

    def norm(self, x, name):
        return x / np.sqrt((x * x).mean(-1, keepdims=True) + self.eps) * self.tensors[name].array().astype(np.float64)

    def rope(self, x):
        """x [tokens, heads, head_dim], positions 0, 1, ..."""
        half = self.head_dim // 2
        angle = np.arange(len(x))[:, None] * self.theta ** (-np.arange(half) / half)[None]
        cos, sin = np.cos(angle)[:, None], np.sin(angle)[:, None]
        a, b = x[..., :half], x[..., half:]
        return np.concatenate([a * cos - b * sin, b * cos + a * sin], -1)

    def attention(self, q, k, v):
        n, ratio = len(q), self.heads // self.kv_heads
        q, k = self.rope(q.reshape(n, self.heads, -1)), self.rope(k.reshape(n, self.kv_heads, -1))
        v = v.reshape(n, self.kv_heads, -1)
        k, v = np.repeat(k, ratio, 1), np.repeat(v, ratio, 1)
        score = np.einsum("qhd,khd->hqk", q, k) / np.sqrt(self.head_dim)
        score = np.where(np.tril(np.ones((n, n), bool)), score, -np.inf)
        p = np.exp(score - score.max(-1, keepdims=True))
        return np.einsum("hqk,khd->qhd", p / p.sum(-1, keepdims=True), v).reshape(n, -1)

    # What tests of edited kernels override.
    def residual(self, layer, x, y):
        return x + y

    def mlp_residual(self, layer, x, y):
        return x + y

    def swiglu(self, layer, gate, up):
        return silu(gate) * up

    def logits(self, ids, exact=True):
        """fp64 logits [tokens, vocab] of one sequence; exact=False rounds activations as the kernels do."""
        x = self.embed[np.asarray(ids)]
        for n, layer in enumerate(self.layers):
            call = lambda name, y: layer[name](y, exact)
            h = self.norm(x, f"model.layers.{n}.input_layernorm.weight")
            a = self.attention(*(call(f"self_attn.{p}_proj", h) for p in "qkv"))
            x = self.residual(n, x, call("self_attn.o_proj", a))
            h = self.norm(x, f"model.layers.{n}.post_attention_layernorm.weight")
            y = self.swiglu(n, call("mlp.gate_proj", h), call("mlp.up_proj", h))
            x = self.mlp_residual(n, x, call("mlp.down_proj", y))
        return self.head(self.norm(x, "model.norm.weight"), exact)

"""Changes a model directory made by tools/make-shape; weights stay holes.

    rewrite-model.py DIR set KEY JSON            a key of config.json
    rewrite-model.py DIR dtype FROM TO           the element type of all tensors (of equal size)
    rewrite-model.py DIR drop TENSOR             a tensor
    rewrite-model.py DIR take OTHER MODULE...    modules as the directory OTHER has them
"""
import json
import pathlib
import struct
import sys

SIZES = {"U8": 1, "I8": 1, "I16": 2, "F16": 2, "BF16": 2, "F32": 4}


def read_header(directory):
    with open(directory / "model.safetensors", "rb") as file:
        (length,) = struct.unpack("<Q", file.read(8))
        return json.loads(file.read(length))


def write_header(directory, header):
    end = 0
    for name, tensor in header.items():
        if name == "__metadata__":
            continue
        size = SIZES[tensor["dtype"]]
        for extent in tensor["shape"]:
            size *= extent
        tensor["data_offsets"] = [end, end + size]
        end += size
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with open(directory / "model.safetensors", "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        file.truncate(8 + len(text) + end)


directory, action, *rest = sys.argv[1:]
directory = pathlib.Path(directory)
config_path = directory / "config.json"
config = json.loads(config_path.read_text())
if action == "set":
    config[rest[0]] = json.loads(rest[1])
    config_path.write_text(json.dumps(config))
elif action == "dtype":
    header = read_header(directory)
    for name, tensor in header.items():
        if name != "__metadata__" and tensor["dtype"] == rest[0]:
            tensor["dtype"] = rest[1]
    write_header(directory, header)
elif action == "drop":
    header = read_header(directory)
    del header[rest[0]]
    write_header(directory, header)
elif action == "take":
    other = pathlib.Path(rest[0])
    header, source = read_header(directory), read_header(other)
    other_config = json.loads((other / "config.json").read_text()).get("quantization_config", {}).get("modules", {})
    modules = config["quantization_config"]["modules"]
    for module in rest[1:]:
        for name in [name for name in header if name.startswith(module + ".") and not name.endswith(".bias")]:
            del header[name]
        header.update({name: tensor for name, tensor in source.items()
                       if name.startswith(module + ".") and not name.endswith(".bias")})
        modules.pop(module, None)
        if module in other_config:
            modules[module] = other_config[module]
    for name, tensor in source.items():
        if name.startswith("levels."):
            header.setdefault(name, tensor)
        if name == "__metadata__":
            header.setdefault(name, {}).update(tensor)
    write_header(directory, header)
    config_path.write_text(json.dumps(config))

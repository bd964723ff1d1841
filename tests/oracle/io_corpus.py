#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes the kept fuzz corpora of the file readers, with the standard library alone.

    python3 tests/oracle/io_corpus.py tests/fuzz/corpus

The pickles come from Python's own pickler over classes that stand in for torch's, so they are what torch.save writes.
"""
import collections, io, json, os, pickle, struct, sys, types, zipfile


def stand_in(module, name):
    """A class or function that pickles as `module.name`."""
    parts = module.split(".")
    for i in range(len(parts)):
        path = ".".join(parts[: i + 1])
        if path not in sys.modules:
            sys.modules[path] = types.ModuleType(path)

    def function(*arguments):
        raise RuntimeError("never called")

    function.__module__, function.__name__, function.__qualname__ = module, name, name
    setattr(sys.modules[module], name, function)
    return function


REBUILD = stand_in("torch._utils", "_rebuild_tensor_v2")
PARAMETER = stand_in("torch._utils", "_rebuild_parameter")
STORAGES = {n: stand_in("torch", n + "Storage") for n in ("Float", "Half", "BFloat16", "Double", "Long", "Int", "Char", "Byte")}


class Storage:
    def __init__(self, kind, key, elements):
        self.kind, self.key, self.elements = kind, key, elements


class Tensor:
    def __init__(self, storage, shape, stride=None, offset=0):
        if stride is None:
            stride, step = [], 1
            for n in reversed(shape):
                stride.insert(0, step)
                step *= n
        self.arguments = (storage, offset, tuple(shape), tuple(stride), False, collections.OrderedDict())

    def __reduce__(self):
        return REBUILD, self.arguments


class Parameter:
    def __init__(self, tensor):
        self.tensor = tensor

    def __reduce__(self):
        return PARAMETER, (self.tensor, True, collections.OrderedDict())


class Evil:
    def __reduce__(self):
        return os.system, ("true",)


class Pickler(pickle._Pickler):
    def persistent_id(self, value):
        if isinstance(value, Storage):
            return ("storage", STORAGES[value.kind], value.key, "cpu", value.elements)
        return None


def dumps(value, protocol=2):
    out = io.BytesIO()
    Pickler(out, protocol).dump(value)
    return out.getvalue()


def states():
    shared = Storage("Float", "0", 6)
    plain = collections.OrderedDict(a=Tensor(shared, [2, 3]), b=Tensor(shared, [3, 2], [1, 3]), c=Tensor(shared, [], [], 5))
    plain._metadata = collections.OrderedDict([("", {"version": 1})])
    kinds = {k: Tensor(Storage(k, str(i), 4), [4]) for i, k in enumerate(STORAGES)}
    return {
        "plain": plain,
        "kinds": kinds,
        "wrapped": {"state_dict": {"w": Parameter(Tensor(shared, [2, 3]))}, "step": 12345678901, "loss": 0.5, "note": None,
                    "tags": {"x"}, "list": [1, -2, 70000, True]},
        "evil": {"a": Tensor(shared, [2, 3]), "b": Evil()},
        "empty": {"e": Tensor(Storage("Half", "0", 0), [0, 3])},
    }


def archive(entries, method=zipfile.ZIP_STORED):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", method) as z:
        for name, content in entries:
            z.writestr(zipfile.ZipInfo(name), content, method)  # ZipInfo: a fixed date
    return out.getvalue()


def wide_archive(entries):
    """The same with every size and position in ZIP64 records, as in files over 4 GB."""
    body = directory = b""
    for name, content in entries:
        name, n = name.encode(), len(content)
        head = struct.pack("<HHHII", 45, 0, 0, 0, 0)
        field = struct.pack("<HHQQQ", 1, 24, n, n, len(body))
        directory += b"PK\1\2" + struct.pack("<H", 45) + head + struct.pack("<IIHHHHHII", 2**32 - 1, 2**32 - 1, len(name), len(field), 0, 0, 0, 0, 2**32 - 1) + name + field
        body += b"PK\3\4" + head + struct.pack("<IIHH", n, n, len(name), 0) + name + content
    begin, end, n = len(body), len(body) + len(directory), len(entries)
    return (body + directory + b"PK\6\6" + struct.pack("<QHHIIQQQQ", 44, 45, 45, 0, 0, n, n, len(directory), begin)
            + b"PK\6\7" + struct.pack("<IQI", 0, end, 1)
            + b"PK\5\6" + struct.pack("<HHHHIIH", 0, 0, 65535, 65535, 2**32 - 1, 2**32 - 1, 0))


def zips():
    data = [("m/data/0", struct.pack("<6f", *range(6)))]
    head = [("m/byteorder", b"little"), ("m/version", b"3\n")]
    plain = [("m/data.pkl", dumps(states()["plain"]))] + head + data
    yield "stored", archive(plain)
    yield "zip64", wide_archive(plain)
    yield "deflated", archive(plain, zipfile.ZIP_DEFLATED)
    yield "big_endian", archive(plain[:1] + [("m/byteorder", b"big")] + data)
    yield "no_data", archive(plain[:1])
    yield "wrapped", archive([("data.pkl", dumps(states()["wrapped"], 4)), ("data/0", data[0][1])])
    yield "evil", archive([("m/data.pkl", dumps(states()["evil"]))] + data)


def safetensors(header, data=b"", pad=True):
    text = json.dumps(header, separators=(",", ":")).encode()
    if pad:
        text += b" " * (-len(text) % 8)
    return struct.pack("<Q", len(text)) + text + data


def entry(dtype, shape, begin, end):
    return {"dtype": dtype, "shape": shape, "data_offsets": [begin, end]}


def safetensors_files():
    yield "two", safetensors({"__metadata__": {"format": "pt"}, "a": entry("F32", [2, 2], 0, 16), "b": entry("BF16", [3], 16, 22)}, bytes(22))
    yield "none", safetensors({})
    yield "scalar", safetensors({"s": entry("I64", [], 0, 8), "e": entry("U8", [0, 5], 8, 8)}, bytes(8))
    yield "hole", safetensors({"a": entry("U8", [2], 0, 2), "b": entry("U8", [2], 4, 6)}, bytes(6))
    yield "overlap", safetensors({"a": entry("I8", [4], 0, 4), "b": entry("I8", [4], 2, 6)}, bytes(6))
    yield "huge", safetensors({"a": entry("F64", [2**62, 4], 0, 8)}, bytes(8))
    yield "unknown", safetensors({"a": entry("F8_E4M3", [4], 0, 4)}, bytes(4))


JSON = {
    "config": '{"model_type": "mamba2", "time_step_limit": [0.0, Infinity], "a": -Infinity, "b": NaN, "c": null, "d": true}',
    "numbers": "[0, -1, 1.5e300, 9223372036854775807, 18446744073709551615, -9223372036854775808, 1e-400]",
    "strings": '["\\u0041\\ud83d\\ude00\\n", "é", "\\u0001Infinity", "Infinity", ""]',
    "nested": "[" * 40 + "]" * 40,
    "index": '{"metadata": {"total_size": 12}, "weight_map": {"a": "model-00001-of-00002.safetensors"}}',
    "broken": '{"a": [1, 2',
}


def main(root):
    corpora = {
        "pickle": [(f"{n}_{p}", dumps(v, p)) for n, v in states().items() for p in (2, 4)],
        "torch_zip": list(zips()),
        "safetensors": list(safetensors_files()),
        "json": [(n, t.encode()) for n, t in JSON.items()],
    }
    for target, files in corpora.items():
        os.makedirs(os.path.join(root, target), exist_ok=True)
        for name, content in files:
            with open(os.path.join(root, target, name), "wb") as f:
                f.write(content)


if __name__ == "__main__":
    main(sys.argv[1])

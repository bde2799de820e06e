#!/usr/bin/env python3
"""Makes dtype_vectors.gguf: what ggml itself encodes and decodes, for tests/io/codecs_test.cpp.

    make_dtype_vectors.py LIBGGML_BASE OUT.gguf

LIBGGML_BASE is any build of libggml-base.so for x86-64 (the npm package node-llama-cpp has one). The file holds
  decode.TYPE.in, decode.TYPE.out   blocks with chosen scales and what ggml decodes from them
  encode.in, encode.TYPE.out        awkward rows and what ggml encodes
and as metadata digests of long random streams, which the test makes again by itself (random_bytes, random_floats and
digest below; keep both sides alike).
"""
import ctypes
import struct
import sys

import numpy as np

F32, F16, BF16 = 0, 1, 30
BLOCKS = {  # name: (GGUF number, values, bytes, offsets of f16 scales, ggml's name)
    "Q8_0": (8, 32, 34, (0,), "q8_0"),
    "Q4_0": (2, 32, 18, (0,), "q4_0"),
    "Q4_1": (3, 32, 20, (0, 2), "q4_1"),
    "Q5_0": (6, 32, 22, (0,), "q5_0"),
    "Q5_1": (7, 32, 24, (0, 2), "q5_1"),
    "Q4_K": (12, 256, 144, (0, 2), "q4_K"),
    "Q5_K": (13, 256, 176, (0, 2), "q5_K"),
    "Q6_K": (14, 256, 210, (208,), "q6_K"),
}
ENCODED = ("Q8_0", "Q4_0")
STREAM_VALUES = 1 << 18


def pointer(array):
    return array.ctypes.data_as(ctypes.c_void_p)


class Ggml:
    def __init__(self, path):
        self.lib = ctypes.CDLL(path)

    def call(self, function, source, out, n):
        getattr(self.lib, function)(pointer(source), pointer(out), ctypes.c_int64(n))
        return out

    def decode(self, name, blocks):
        _, values, size, _, ggml_name = BLOCKS[name]
        n = len(blocks) // size * values
        return self.call("dequantize_row_" + ggml_name, blocks, np.zeros(n, np.float32), n)

    def encode(self, name, x):
        _, values, size, _, ggml_name = BLOCKS[name]
        out = np.zeros(len(x) // values * size, np.uint8)
        return self.call("quantize_row_" + ggml_name + "_ref", x, out, len(x))


def splitmix64(seed, n):
    """Numbers 1..n of the sequence that starts at `seed`."""
    with np.errstate(over="ignore"):
        z = np.uint64(seed) + np.arange(1, n + 1, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        return z ^ (z >> np.uint64(31))


def random_bytes(seed, n):
    return splitmix64(seed, (n + 7) // 8).view(np.uint8)[:n].copy()


def random_floats(seed, n):
    """A 16-bit integer times a power of two per block of 32: 2^-30 .. 2^1, so that scales cross every kind of half."""
    r = splitmix64(seed, n)
    mantissa = (r & np.uint64(0xFFFF)).astype(np.int64) - 32768
    exponent = (r[::32] >> np.uint64(16) & np.uint64(31)).astype(np.int64) - 30
    return (mantissa.astype(np.float32) / np.float32(32768)) * np.exp2(np.repeat(exponent, 32)).astype(np.float32)


def digest(bits):
    """Sum of (value + 1) * splitmix64(0)[i] mod 2^64; `bits` are uint8, uint16 or float32 (all NaNs count as one)."""
    if bits.dtype == np.float32:
        bits = np.where(np.isnan(bits), np.uint32(0x7FC00000), bits.view(np.uint32))
    with np.errstate(over="ignore"):
        return int(((bits.astype(np.uint64) + np.uint64(1)) * splitmix64(0, len(bits))).sum(dtype=np.uint64))


def decode_input(name, seed):
    """Random blocks with scales of every kind, then blocks of all ones and all zeros bits but the scales."""
    _, values, size, scale_offsets, _ = BLOCKS[name]
    scales = [0x3C00, 0xB801, 0x0001, 0x83FF, 0x7BFF, 0x8000] if values == 32 else [0x3555, 0x8001]
    blocks = random_bytes(seed, size * len(scales)).reshape(len(scales), size)
    blocks = np.concatenate([blocks, np.full((1, size), 0xFF, np.uint8), np.zeros((1, size), np.uint8)])
    for i, scale in enumerate(scales + [0x2E66, 0xAE66]):
        for offset in scale_offsets:
            blocks[i, offset:offset + 2] = np.frombuffer(struct.pack("<H", scale ^ offset), np.uint8)
    return blocks.reshape(-1).copy()


def encode_input():
    rows = []

    def row(*values, fill=0.0):
        rows.append(np.array(list(values) + [fill] * (32 - len(values)), np.float32))

    row()
    row(fill=-0.0)
    row(0.0, -0.0, 0.0, -0.0)
    row(1.0, -1.0, 0.5, -0.5, fill=0.25)   # ties of +max and -max: the first one gives Q4_0 its sign
    row(-1.0, 1.0, 0.5, -0.5, fill=0.25)
    row(0.25, 3.0, -3.0, 3.0, fill=-3.0)
    row(127.0, *[k + 0.5 for k in range(-15, 16)])   # exact halves after scaling, for Q8_0
    row(-127.0, *[k + 0.5 for k in range(100, 127)], -126.5, -0.5)
    row(-8.0, *[k + 0.5 for k in range(-8, 8)], *range(-7, 7))   # and for Q4_0
    row(8.0, *[k + 0.5 for k in range(-8, 8)], *range(-7, 7))
    row(1e-40, -2e-40, 1e-45)              # the reciprocal of the scale overflows
    row(fill=1.1754942e-38)
    row(1.1754944e-38, -1e-37, 1e-36)
    row(3.4028235e38, -3.4028235e38, 1.0, 1e30, -1e37)   # the scale overflows a half, the values do not
    row(65504.0 * 127, -65504.0 * 63, 1.0)
    row(65520.0 * 127, 1.0, -7e5)
    row(65504.0 * -8, 65519.0, 1.0)
    row(6e-8 * 127, -3e-8, 1e-8)           # a subnormal half as the scale
    row(float("inf"), -3.0, 1.0, fill=2.0)
    row(1.0, -float("inf"), float("inf"), fill=0.5)
    for k in range(4):
        rows.append(random_floats(1000 + k, 32))
    return np.concatenate(rows)


class GgufOut:
    """The few lines of a GGUF writer, so that the file does not come from the writer under test."""

    def __init__(self):
        self.values, self.tensors = [], []

    @staticmethod
    def text(s):
        return struct.pack("<Q", len(s)) + s.encode()

    def u64(self, key, value):
        self.values.append(self.text(key) + struct.pack("<IQ", 10, value))

    def string(self, key, value):
        self.values.append(self.text(key) + struct.pack("<I", 8) + self.text(value))

    def tensor(self, name, number, n, array):
        self.tensors.append((name, number, n, array.tobytes()))

    def save(self, path):
        out = b"GGUF" + struct.pack("<IQQ", 3, len(self.tensors), len(self.values)) + b"".join(self.values)
        offset, data = 0, b""
        for name, number, n, payload in self.tensors:
            out += self.text(name) + struct.pack("<IQIQ", 1, n, number, len(data))
            data += payload + bytes(-len(payload) % 32)
        with open(path, "wb") as f:
            f.write(out + bytes(-len(out) % 32) + data)


def main():
    ggml, out = Ggml(sys.argv[1]), GgufOut()
    out.string("general.name", "what ggml's quantize_row_*_ref and dequantize_row_* return")

    for i, (name, (number, values, size, _, _)) in enumerate(BLOCKS.items()):
        blocks = decode_input(name, 100 + i)
        n = len(blocks) // size * values
        out.tensor(f"decode.{name}.in", number, n, blocks)
        out.tensor(f"decode.{name}.out", F32, n, ggml.decode(name, blocks))
        stream = random_bytes(200 + i, STREAM_VALUES // values * size)
        out.u64(f"decode.{name}.digest", digest(ggml.decode(name, stream)))

    x = encode_input()
    out.tensor("encode.in", F32, len(x), x)
    stream = random_floats(300, STREAM_VALUES)
    for name in ENCODED:
        out.tensor(f"encode.{name}.out", BLOCKS[name][0], len(x), ggml.encode(name, x))
        out.u64(f"encode.{name}.digest", digest(ggml.encode(name, stream)))

    halves = np.arange(65536, dtype=np.uint16)
    bits = random_bytes(400, 4 * STREAM_VALUES).view(np.float32)   # every kind of float, NaNs too
    for name, number, to_f32, from_f32 in (("F16", F16, "ggml_fp16_to_fp32_row", "ggml_fp32_to_fp16_row"),
                                           ("BF16", BF16, "ggml_bf16_to_fp32_row", "ggml_fp32_to_bf16_row_ref")):
        encoded = ggml.call(from_f32, x, np.zeros(len(x), np.uint16), len(x))
        out.tensor(f"encode.{name}.out", number, len(x), encoded)
        decoded = ggml.call(to_f32, halves, np.zeros(65536, np.float32), 65536)
        out.u64(f"decode.{name}.digest", digest(decoded))
        encoded = ggml.call(from_f32, bits, np.zeros(len(bits), np.uint16), len(bits))
        out.u64(f"encode.{name}.digest", digest(encoded))
    out.save(sys.argv[2])


if __name__ == "__main__":
    main()

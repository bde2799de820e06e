"""A GGUF file of named f32 arrays, for the scripts here."""
import struct


def write_gguf(path, tensors):
    text = lambda s: struct.pack("<Q", len(s)) + s.encode()
    header, data = b"GGUF" + struct.pack("<IQQ", 3, len(tensors), 1), b""
    header += text("general.architecture") + struct.pack("<I", 8) + text("test-vectors")
    for name, array in tensors.items():
        dims = [array.size // array.shape[0], array.shape[0]] if array.ndim > 1 else [array.size]
        header += text(name) + struct.pack("<I", len(dims)) + struct.pack(f"<{len(dims)}Q", *dims)
        header += struct.pack("<IQ", 0, len(data))
        data += array.tobytes()
        data += bytes(-len(data) % 32)
    with open(path, "wb") as out:
        out.write(header + bytes(-len(header) % 32) + data)

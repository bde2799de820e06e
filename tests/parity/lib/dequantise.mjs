// A GGUF file with the same values in F32, so that a runtime can compute with them exactly. Knows F32, F16 and Q8_0.
import {readFileSync, writeFileSync} from "node:fs";

const kF32 = 0, kF16 = 1, kQ8_0 = 8;
const kString = 8, kArray = 9;
const kScalarBytes = {0: 1, 1: 1, 2: 2, 3: 2, 4: 4, 5: 4, 6: 4, 7: 1, 10: 8, 11: 8, 12: 8};  // by metadata value type

class Reader {
  constructor(buffer) {
    this.buffer = buffer;
    this.offset = 0;
  }
  u32() {
    this.offset += 4;
    return this.buffer.readUInt32LE(this.offset - 4);
  }
  u64() {
    this.offset += 8;
    return Number(this.buffer.readBigUInt64LE(this.offset - 8));
  }
  string() {
    const length = this.u64();
    this.offset += length;
    return this.buffer.toString("utf8", this.offset - length, this.offset);
  }
  /** Skips a metadata value; returns it where it is a number of 32 bits. */
  value(type) {
    if (type === kString) return void this.string();
    if (type === kArray) {
      const itemType = this.u32();
      for (let n = this.u64(); n > 0; --n) this.value(itemType);
      return undefined;
    }
    if (type === 4) return this.u32();
    this.offset += kScalarBytes[type];
    return undefined;
  }
}

function halfToFloat(half) {
  const sign = half & 0x8000 ? -1 : 1, exponent = (half >> 10) & 0x1f, mantissa = half & 0x3ff;
  if (exponent === 0) return sign * mantissa * 2 ** -24;
  if (exponent === 31) return mantissa === 0 ? sign * Infinity : NaN;
  return sign * (1 + mantissa / 1024) * 2 ** (exponent - 15);
}

function toFloats(bytes, type, n) {
  const out = new Float32Array(n);
  for (let i = 0; i < n; ++i) {
    if (type === kF32) out[i] = bytes.readFloatLE(4 * i);
    else if (type === kF16) out[i] = halfToFloat(bytes.readUInt16LE(2 * i));
    else if (type === kQ8_0) {
      const block = 34 * (i >> 5);  // a half, then 32 bytes
      out[i] = halfToFloat(bytes.readUInt16LE(block)) * bytes.readInt8(block + 2 + (i & 31));
    } else throw new Error(`cannot dequantise type ${type}`);
  }
  return Buffer.from(out.buffer);
}

/** Writes `input` to `output` with every tensor in F32 and all metadata as it is. */
export function dequantise(input, output) {
  const reader = new Reader(readFileSync(input));
  reader.offset = 8;  // magic and version
  const nTensors = reader.u64();
  let alignment = 32;
  for (let n = reader.u64(); n > 0; --n) {
    const key = reader.string();
    const value = reader.value(reader.u32());
    if (key === "general.alignment") alignment = value;
  }
  const align = offset => Math.ceil(offset / alignment) * alignment;

  const metadata = reader.buffer.subarray(0, reader.offset);
  const tensors = Array.from({length: nTensors}, () => {
    const begin = reader.offset;
    reader.string();
    const n = Array.from({length: reader.u32()}, () => reader.u64()).reduce((a, b) => a * b, 1);
    return {head: reader.buffer.subarray(begin, reader.offset), n, type: reader.u32(), offset: reader.u64()};
  });
  const data = reader.buffer.subarray(align(reader.offset));

  const table = [], values = [];
  let offset = 0;
  for (const {head, n, type, offset: from} of tensors) {
    const place = Buffer.alloc(12);
    place.writeUInt32LE(kF32);
    place.writeBigUInt64LE(BigInt(offset), 4);
    table.push(head, place);
    const floats = toFloats(data.subarray(from), type, n);
    values.push(floats, Buffer.alloc(align(floats.length) - floats.length));
    offset += align(floats.length);
  }
  const header = Buffer.concat([metadata, ...table]);
  writeFileSync(output, Buffer.concat([header, Buffer.alloc(align(header.length) - header.length), ...values]));
}

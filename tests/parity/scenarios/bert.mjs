// A BERT that elms converted: llama.cpp reads it, with the same tokens and the same last hidden states.
import {spawnSync} from "node:child_process";
import {readFileSync, writeFileSync} from "node:fs";
import {dirname, join} from "node:path";
import {fileURLToPath} from "node:url";
import {dequantise} from "../lib/dequantise.mjs";
import {kPrompts} from "../lib/parity.mjs";
import {ReferenceEncoder} from "../lib/reference.mjs";

export const kSharedFiles = [];

const project = join(dirname(fileURLToPath(import.meta.url)), "../../..");
/** Small and random, as Hugging Face keeps it; of 20 positions. */
const kRandomBert = join(project, "tests/data/encoder/bert");
const kRandomTexts = ["word3", "ab, cab! word7", "Word1 word2? x-ray 3.5", "word10 word11 word12 word13 a b c d e f g h i j k l",
                      "unknown \u732b here", "\u00c9t\u00e9"];
/** What ships is a BERT too, in Q8_0; the same values in f32 are compared without the noise of rounded activations. */
const kRefiner = join(project, "examples/models/elms-refiner.gguf");
const kLongText = Array.from({length: 20}, (_, i) => `${i}: ${kPrompts[i % kPrompts.length]}`).join(" ");

/** What `bert.pooling_type` makes of the states [n, d]; 0, which elms writes, gives that of the last token. */
const kPoolings = {
  last: {type: 0, of: states => states.at(-1)},
  mean: {type: 1, of: states => states[0].map((_, c) => states.reduce((sum, state) => sum + state[c], 0) / states.length)},
  first: {type: 2, of: states => states[0]},
};

/**
 * States come from a norm: their values are near 1. llama.cpp computes GELU by its tanh formula and from a table in f16,
 * where BERT and elms have erf (2e-3 apart here); with matrices in f16 or Q8_0 it also rounds activations, and so does
 * elms in Q8_0, in its own way (3e-2 apart).
 */
const kTolerance = {f32: 5e-3, f16: 5e-3, q8_0: 5e-2};
/** Of what ships. Its states reach 7, the random one's 4.3: where both sides round activations, the same 1.2% of that. */
const kRefinerTolerance = {f32: kTolerance.f32, q8_0: 8e-2};

/** The same file with another pooling. */
function writePooled(from, to, type) {
  const bytes = readFileSync(from);
  const key = Buffer.from("bert.pooling_type");
  const value = bytes.indexOf(key) + key.length + 4;  // after the value's type
  bytes.writeUInt32LE(type, value);
  writeFileSync(to, bytes);
}

function elmsStates(program, model, texts) {
  const {status, stdout, stderr} = spawnSync(program, [model], {input: texts.join("\n") + "\n", encoding: "utf8", maxBuffer: 1 << 28});
  if (status !== 0) throw new Error(`encoder_states: exit ${status}\n${stderr}`);
  const lines = stdout.trim().split("\n").map(line => line.split(" ").map(Number));
  return texts.map((_, i) => {
    const ids = lines[2 * i], values = lines[2 * i + 1], d = values.length / ids.length;
    return {ids, states: ids.map((_, t) => values.slice(t * d, (t + 1) * d))};
  });
}

const largestDifference = (a, b) => a.length === b.length ? Math.max(...a.map((x, i) => Math.abs(x - b[i]))) : Infinity;

async function compare({llama, report, encoderStates, scratch}, name, path, texts, tolerance) {
  const ours = elmsStates(encoderStates, path, texts);
  for (const [pooling, {type, of}] of Object.entries(kPoolings)) {
    const file = scratch("pooled.gguf");
    writePooled(path, file, type);
    const encoder = await ReferenceEncoder.open(llama, file);
    for (const [i, text] of texts.entries()) {
      const {ids, states} = ours[i];
      const label = `${name}, ${pooling}, text ${i}`;
      const found = encoder.tokenize(text);
      if (found.join(" ") !== ids.join(" ")) {
        report.check(label, false, `elms has tokens ${ids}, llama.cpp ${found}`);
        continue;
      }
      const difference = largestDifference(await encoder.embed(ids), of(states));
      report.check(label, difference <= tolerance, `${ids.length} tokens within ${difference.toExponential(1)}`);
    }
    await encoder.close();
  }
}

export async function run(env) {
  const [type] = env.options;
  const converted = env.scratch("converted.gguf");
  await env.elms.json("convert", kRandomBert, "-o", converted, "--type", type);
  await compare(env, `random BERT in ${type}`, converted, kRandomTexts, kTolerance[type]);
  if (type === "f16") return;
  const refiner = type === "f32" ? env.scratch("refiner.gguf") : kRefiner;
  if (type === "f32") dequantise(kRefiner, refiner);
  await compare(env, `elms-refiner in ${type}`, refiner, [...kPrompts, kLongText], kRefinerTolerance[type]);
}

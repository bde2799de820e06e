// llama_cpp.mjs '{"model": ..., ...}': one turn of llama.cpp, in a process of its own so that its time to open and its
// memory are those of a first run. Prints JSON. Options as run.mjs passes them.
import {existsSync, readFileSync} from "node:fs";
import {basename, join} from "node:path";
import {loadLlamaCpp} from "../../tests/parity/lib/reference.mjs";
import {median} from "./statistics.mjs";

const {peers, model: modelPath, threads, prefill, decode, repeat, nVocab, flashAttention} = JSON.parse(process.argv[2]);

const seconds = async work => {
  const start = performance.now();
  await work();
  return (performance.now() - start) / 1000;
};

/** The tokens that `elms bench` runs on: spread over the vocabulary. */
const tokens = Array.from({length: Math.max(...prefill)}, (_, i) => Number((BigInt(i) * 2654435761n + 7n) % BigInt(nVocab)));

/** Which of the package's builds for different CPUs the system's loader has mapped. */
function cpuBuild() {
  const maps = existsSync("/proc/self/maps") ? readFileSync("/proc/self/maps", "utf8") : "";
  const library = maps.match(/libggml-cpu-?\S*?\.so/);
  return library === null ? "unknown" : basename(library[0], ".so");
}

/** Calls step(i) for the token number i that a greedy run from one token gives; ends after n. */
async function generate(sequence, n, step) {
  let i = 0;
  for await (const _ of sequence.evaluate([tokens[0]], {temperature: 0, yieldEogToken: true})) {
    step(i++);
    if (i >= n) return;
  }
  throw new Error(`llama.cpp generated ${i} tokens instead of ${n}`);
}

const llama = await loadLlamaCpp(peers, {threads});
const runtimeBytes = process.memoryUsage().rss;  // of Node.js and the library, before there is a model
const start = performance.now();
const model = await llama.loadModel({modelPath, useMmap: true});
const openMs = performance.now() - start;
const context = await model.createContext({
  contextSize: Math.max(...prefill, decode + 1) + 16, batchSize: 512, threads, flashAttention,
  experimentalKvCacheKeyType: "F16", experimentalKvCacheValueType: "F16",
});
const sequence = context.getSequence();
await generate(sequence, 1, () => {});
const firstTokenMs = performance.now() - start;
const peakBytes = process.resourceUsage().maxRSS * 1024;

const runPrefill = async n => {
  await sequence.clearHistory();
  return await seconds(() => sequence.evaluateWithoutGeneratingNewTokens(tokens.slice(0, n)));
};
const runDecode = async () => {
  await sequence.clearHistory();
  let first = 0;
  await generate(sequence, decode + 1, i => {  // the first token comes of the prompt
    if (i === 0) first = performance.now();
  });
  return (performance.now() - first) / 1000;
};
await runPrefill(Math.max(...prefill));
const times = {prefill: prefill.map(() => []), decode: []};
for (let run = 0; run < repeat; ++run) {
  for (const [i, n] of prefill.entries()) times.prefill[i].push(await runPrefill(n));
  times.decode.push(await runDecode());
}
const packageFile = join(peers, "node_modules/node-llama-cpp/package.json");
console.log(JSON.stringify({
  build: {package: `node-llama-cpp ${JSON.parse(readFileSync(packageFile, "utf8")).version}`,
          llama_cpp: llama.llamaCppRelease.release, cpu: cpuBuild()},
  batch_tokens: context.batchSize, flash_attention: Boolean(context.flashAttention), kv_type: "f16", mmap: model.useMmap,
  open_ms: openMs, first_token_ms: firstTokenMs,
  peak_rss_bytes: peakBytes - runtimeBytes, runtime_rss_bytes: runtimeBytes,
  prefill: prefill.map((n, i) => ({tokens: n, tok_s: n / median(times.prefill[i])})),
  decode_tok_s: decode / median(times.decode),
}));
process.exit(0);

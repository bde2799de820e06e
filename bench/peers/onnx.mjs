// onnx.mjs --bench PATH: elms' encoder and ONNX Runtime on models of one shape, in turn; see README.md. Exit code 0, 1 when
// a turn failed, 2 for a wrong command line, 77 with "SKIPPED: reason" where ONNX Runtime or PyTorch is not there.
import {execFileSync, spawn} from "node:child_process";
import {existsSync, mkdirSync} from "node:fs";
import {createRequire} from "node:module";
import {dirname, join} from "node:path";
import {createInterface} from "node:readline";
import {fileURLToPath} from "node:url";
import {parseArgs} from "node:util";
import {median} from "./statistics.mjs";

const kFailed = 1, kUsage = 2, kSkipped = 77;
const here = dirname(fileURLToPath(import.meta.url));

function end(code, message) {
  console[code === kSkipped ? "log" : "error"](message);
  process.exit(code);
}

function parse() {
  const text = value => ({type: "string", default: value});
  let values;
  try {
    ({values} = parseArgs({options: {
      bench: {type: "string"}, peers: text(join(here, "../../build/peers")), python: text("/usr/bin/python3"),
      shapes: text("4x256,6x384,12x768"), precisions: text("f32,int8"), tokens: text("512"), threads: text("2"),
      rounds: text("7"), json: {type: "boolean", default: false},
    }}));
  } catch (error) {
    end(kUsage, `onnx.mjs: ${error.message}`);
  }
  if (!values.bench || !existsSync(values.bench)) end(kUsage, `onnx.mjs: --bench: no program "${values.bench ?? ""}"`);
  return values;
}

function loadRuntime(peers) {
  try {
    return createRequire(join(peers, "package.json"))("onnxruntime-node");
  } catch {
    end(kSkipped, `SKIPPED: no onnxruntime-node in ${peers}: npm --prefix ${peers} install --no-save --ignore-scripts onnxruntime-node@1.30`);
  }
}

function exportModel({python, peers}, shape) {
  const path = join(peers, `encoder_${shape}.onnx`);
  if (existsSync(path)) return path;
  mkdirSync(peers, {recursive: true});
  try {
    execFileSync(python, [join(here, "export_encoder.py"), shape, path], {stdio: ["ignore", "ignore", "pipe"]});
  } catch (error) {
    end(kSkipped, `SKIPPED: ${python} did not export a model: ${String(error.stderr ?? error).trim().split("\n").pop()}`);
  }
  return path;
}

/** bench_encoder with --turns: run() resolves to the milliseconds of one pass. */
class ElmsEncoder {
  constructor({bench, tokens, threads}, shape, precision) {
    this.child = spawn(bench, ["--turns", "--shape", shape, "--precision", precision, "--tokens", tokens, "--threads", threads],
                       {stdio: ["pipe", "pipe", "inherit"]});
    this.child.on("error", error => end(kFailed, `onnx.mjs: ${error.message}`));
    this.lines = createInterface({input: this.child.stdout})[Symbol.asyncIterator]();
  }
  async run() {
    this.child.stdin.write("\n");
    const {value, done} = await this.lines.next();
    if (done) end(kFailed, "onnx.mjs: bench_encoder ended");
    return Number(value);
  }
  close() { this.child.stdin.end(); }
}

async function onnxEncoder({InferenceSession, Tensor}, {tokens, threads}, path) {
  // Its threads wait for the next call without spinning: otherwise they would take the cores that elms computes on.
  const session = await InferenceSession.create(path, {
    intraOpNumThreads: Number(threads), interOpNumThreads: 1, executionMode: "sequential", graphOptimizationLevel: "all",
    extra: {session: {intra_op: {allow_spinning: "0"}}}});
  const ids = BigInt64Array.from({length: Number(tokens)}, (_, i) => BigInt(5 + i * 7 % 900));
  const feeds = {[session.inputNames[0]]: new Tensor("int64", ids, [1, Number(tokens)])};
  return async () => {
    const start = performance.now();
    await session.run(feeds);
    return performance.now() - start;
  };
}

const options = parse();
const runtime = loadRuntime(options.peers);
const results = [];
for (const shape of options.shapes.split(",")) {
  const onnx = await onnxEncoder(runtime, options, exportModel(options, shape));
  for (const precision of options.precisions.split(",")) {
    const elms = new ElmsEncoder(options, shape, precision);
    await elms.run();
    await onnx();
    const a = [], b = [];
    for (let i = 0; i < Number(options.rounds); ++i) {
      a.push(await elms.run());
      b.push(await onnx());
    }
    elms.close();
    const result = {shape, precision, tokens: Number(options.tokens), threads: Number(options.threads),
                    elms_best_ms: Math.min(...a), onnx_best_ms: Math.min(...b), elms_median_ms: median(a), onnx_median_ms: median(b),
                    best_ratio: Math.min(...b) / Math.min(...a), median_ratio: median(a.map((ms, i) => b[i] / ms))};
    results.push(result);
    if (!options.json) {
      console.log(`${shape} ${precision}: elms ${result.elms_best_ms.toFixed(1)} ms, ONNX Runtime (f32) ${result.onnx_best_ms.toFixed(1)}` +
          ` ms at best; ${result.best_ratio.toFixed(2)} times as fast at best, ${result.median_ratio.toFixed(2)} in the median of turns`);
    }
  }
}
if (options.json) console.log(JSON.stringify(results));

// bench_peers.mjs --elms PATH --peers DIR: bench/peers/run.mjs on a tiny model, and what its result holds. Speeds of so
// small a model mean nothing.
import assert from "node:assert/strict";
import {execFileSync, spawnSync} from "node:child_process";
import {mkdtempSync, rmSync} from "node:fs";
import {tmpdir} from "node:os";
import {join} from "node:path";
import {fileURLToPath} from "node:url";
import {parseArgs} from "node:util";

const kSkipped = 77;
const {values: {elms, peers}} = parseArgs({options: {elms: {type: "string"}, peers: {type: "string"}}});
const program = fileURLToPath(new URL("../../bench/peers/run.mjs", import.meta.url));
const run = (...args) => spawnSync(process.execPath, [program, ...args], {encoding: "utf8"});

for (const [args, complaint] of [
  [[], /one model/],
  [["absent.gguf", "--elms", elms], /no file absent.gguf/],
  [[program, "--elms", "absent"], /no program "absent"/],
  [[program, "--elms", elms, "--decode", "many"], /--decode: "many"/],
  [[program, "--frobnicate"], /frobnicate/],
]) {
  const {status, stderr} = run(...args);
  assert.equal(status, 2, stderr);
  assert.match(stderr, complaint);
}

const scratch = mkdtempSync(join(tmpdir(), "elms_bench_peers_"));
try {
  const model = join(scratch, "tiny.gguf");
  const shape = {d_model: 128, n_layers: 2, n_heads: 4, n_kv_heads: 2, d_ff: 192, n_vocab: 512, context_length: 256};
  execFileSync(elms, ["synth", "--shape", JSON.stringify(shape), "--type", "q8_0", "-o", model, "--json"]);
  const {status, stdout, stderr} = run(model, "--elms", elms, "--peers", peers, "--threads", "1", "--prefill", "8,16",
                                       "--decode", "4", "--rounds", "2", "--repeat", "1", "--json");
  if (status === kSkipped) {
    console.log(stdout.trim());
    process.exitCode = kSkipped;
  } else {
    assert.equal(status, 0, stderr);
    const result = JSON.parse(stdout);
    assert.equal(result.threads, 1);
    assert.equal(result.elms.limits.length, 2);
    for (const key of ["llama_cpp", "cpu", "package"]) assert.equal(typeof result.llama_cpp[key], "string");
    assert.equal(result.llama_cpp.batch_tokens, 512);
    assert.equal(result.llama_cpp.flash_attention, false);
    assert.equal(result.llama_cpp.mmap, true);
    assert.deepEqual(result.figures.map(figure => figure.name),
                     ["decode", "prefill 8", "prefill 16", "open to first token", "peak memory"]);
    for (const {name, elms: ours, llama_cpp: theirs, ratio} of result.figures) {
      for (const {values, median, spread} of [ours, theirs, ratio]) {
        assert.equal(values.length, 2, name);
        assert.ok(values.every(value => value > 0), name);
        assert.ok(Math.abs(median - (values[0] + values[1]) / 2) < 1e-9 * median, name);
        assert.ok(spread >= 0, name);
      }
      assert.equal(ratio.values[1], ours.values[1] / theirs.values[1]);
    }
    console.log(`bench/peers: ${result.figures.length} figures of both sides`);
  }
} finally {
  rmSync(scratch, {recursive: true, force: true});
}

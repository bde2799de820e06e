// run.mjs MODEL.gguf --elms PATH: elms and llama.cpp on the same file, in turn; see README.md. Exit code 0, 1 when a
// turn failed, 2 for a wrong command line, 77 with "SKIPPED: reason" where llama.cpp is not installed.
import {execFile} from "node:child_process";
import {createReadStream, existsSync, statSync} from "node:fs";
import {dirname, join} from "node:path";
import {fileURLToPath} from "node:url";
import {parseArgs, promisify} from "node:util";
import {Elms} from "../../tests/parity/lib/elms.mjs";
import {summary} from "./statistics.mjs";
import {printTable} from "./table.mjs";

const kFailed = 1, kUsage = 2, kSkipped = 77;
const here = dirname(fileURLToPath(import.meta.url));

function end(code, message) {
  console[code === kSkipped ? "log" : "error"](message);
  process.exit(code);
}

function usage(problem) {
  end(kUsage, `run.mjs: ${problem}\nusage: run.mjs MODEL.gguf --elms PATH [--peers DIR] [--threads N] [--prefill N,N,...]` +
      " [--decode N] [--rounds N] [--repeat N] [--flash-attention] [--json]");
}

function count(name, text) {
  const value = Number(text);
  if (!Number.isInteger(value) || value < 1) usage(`--${name}: "${text}" is no count`);
  return value;
}

function parse() {
  const text = value => ({type: "string", default: value});
  let parsed;
  try {
    parsed = parseArgs({allowPositionals: true, options: {
      elms: {type: "string"}, peers: text(join(here, "../../build/peers")),
      threads: text("2"), prefill: text("128,512"), decode: text("64"),
      rounds: text("5"),  // turns of each
      repeat: text("2"),  // runs within a turn, of which the median counts
      "flash-attention": {type: "boolean", default: false}, json: {type: "boolean", default: false},
    }});
  } catch (error) {
    usage(error.message);
  }
  const {values, positionals: [model, ...more]} = parsed;
  if (model === undefined || more.length > 0) usage("expected one model");
  if (!existsSync(model)) usage(`no file ${model}`);
  if (!values.elms || !existsSync(values.elms)) usage(`--elms: no program "${values.elms ?? ""}"`);
  const options = {model, elms: values.elms, peers: values.peers, json: values.json, flashAttention: values["flash-attention"],
                   prefill: values.prefill.split(",").map(n => count("prefill", n))};
  for (const name of ["threads", "decode", "rounds", "repeat"]) options[name] = count(name, values[name]);
  return options;
}

/** So that neither side reads the disk. */
async function warmPageCache(path) {
  for await (const _ of createReadStream(path, {highWaterMark: 1 << 22}));
}

async function elmsTurn({model, elms, threads, prefill, decode, repeat}) {
  return await new Elms(elms).json("bench", model, "--threads", threads, "--prefill", prefill.join(","), "--decode", decode,
                                   "--repeat", repeat, "--widths", 1);
}

async function llamaTurn(options) {
  const {stdout} = await promisify(execFile)(process.execPath, [join(here, "llama_cpp.mjs"), JSON.stringify(options)]);
  return JSON.parse(stdout.trim().split("\n").at(-1));
}

/** A row of the result: the same figure of every turn of both sides. */
function figure(name, unit, better, ours, theirs) {
  return {name, unit, better, elms: summary(ours), llama_cpp: summary(theirs),
          ratio: summary(ours.map((value, i) => value / theirs[i]))};
}

function figures(options, ours, theirs) {
  const both = (name, unit, better, ofElms, ofLlama = ofElms) => figure(name, unit, better, ours.map(ofElms), theirs.map(ofLlama));
  return [
    both("decode", "tok/s", "higher", turn => turn.results[0].decode_tok_s, turn => turn.decode_tok_s),
    ...options.prefill.map((n, i) => both(`prefill ${n}`, "tok/s", "higher", turn => turn.results[0].prefill[i].tok_s,
                                          turn => turn.prefill[i].tok_s)),
    both("open to first token", "ms", "lower", turn => turn.first_token_ms),
    both("peak memory", "bytes", "lower", turn => turn.peak_rss_bytes),
  ];
}

const options = parse();
if (!existsSync(join(options.peers, "node_modules/node-llama-cpp"))) {
  end(kSkipped, `SKIPPED: no node-llama-cpp in ${options.peers} (tests/parity/install.sh puts it there)`);
}
const ours = [], theirs = [];
try {
  options.nVocab = (await new Elms(options.elms).info(options.model)).shape.n_vocab;
  await warmPageCache(options.model);
  for (let round = 1; round <= options.rounds; ++round) {
    if (process.stderr.isTTY) process.stderr.write(`\r\x1b[Kround ${round} of ${options.rounds}`);
    ours.push(await elmsTurn(options));
    theirs.push(await llamaTurn(options));
  }
  if (process.stderr.isTTY) process.stderr.write("\r\x1b[K");
} catch (error) {
  end(kFailed, `run.mjs: ${error.message}\n${error.stderr ?? ""}`);
}
const {build, batch_tokens, flash_attention, kv_type, mmap, runtime_rss_bytes} = theirs[0];
const result = {
  model: options.model, file_bytes: statSync(options.model).size, threads: options.threads, rounds: options.rounds,
  repeats: options.repeat, decode_tokens: options.decode,
  elms: {isa: ours[0].isa, kv_bytes: ours[0].kv_bytes, limits: ours.map(turn => turn.limits)},
  llama_cpp: {...build, batch_tokens, flash_attention, kv_type, mmap, runtime_rss_bytes},
  figures: figures(options, ours, theirs),
};
if (options.json) console.log(JSON.stringify(result, null, 2));
else printTable(result);

// A vocabulary that elms trained: llama.cpp reads it with the same tokens.
import {spawnSync} from "node:child_process";
import {readFileSync} from "node:fs";
import {kStoriesText} from "../lib/parity.mjs";

const kOtherText = "data/wikipedia-excellent/wiki_05";
export const kSharedFiles = [kStoriesText, kOtherText];

const kLines = 3000;

/** Lines of a file, no empty ones, and some that no text has. */
function linesOf(path) {
  const lines = readFileSync(path, "utf8").split(/\r?\n/).filter(line => line !== "");
  return [...lines.slice(0, kLines), "  two  spaces ", "\ttab", "1234567", "<s> </s> <unk> <0x41>", "\u2581", "\u732b\u{1f436}e\u0301"];
}

function elmsIds(program, vocabulary, lines) {
  const {status, stdout, stderr} = spawnSync(program, [vocabulary],
                                             {input: lines.join("\n") + "\n", encoding: "utf8", maxBuffer: 1 << 28});
  if (status !== 0) throw new Error(`encode_lines: exit ${status}\n${stderr}`);
  return stdout.split("\n").slice(0, -1);
}

export async function run({llama, report, elms, shared, scratch, encodeLines}) {
  const vocabulary = scratch("vocab.gguf");
  const {tokens} = await elms.json("vocab", "--text", shared(kStoriesText), "--size", 4096, "-o", vocabulary);
  const model = await llama.loadModel({modelPath: vocabulary, vocabOnly: true});
  report.check("special tokens", tokens === 4096 && model.tokens.bos === 1 && model.tokens.eos === 2 &&
                                 model.tokens.shouldPrependBosToken, "BOS 1 before every text, EOS 2");
  for (const file of kSharedFiles) {
    const lines = linesOf(shared(file));
    const ids = elmsIds(encodeLines, vocabulary, lines);
    const wrong = lines.findIndex((line, i) => model.tokenize(line, false).join(" ") !== ids[i]);
    report.check(file, ids.length === lines.length && wrong < 0,
                 wrong < 0 ? `${lines.length} lines` : `"${lines[wrong]}": elms has ${ids[wrong]}`);
  }
  await model.dispose();
}

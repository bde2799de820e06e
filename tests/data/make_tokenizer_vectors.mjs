// Makes tokenizer_vectors.json: random texts and the ids that two independent implementations give them, llama.cpp
// (node-llama-cpp) for GGUF vocabularies and @huggingface/tokenizers for tokenizer.json files.
//
//   node make_tokenizer_vectors.mjs PEERS TEST_TEXT SHARED N_TEXTS [SEED] > tokenizer_vectors.json
//
// PEERS is a folder where both npm packages are installed, TEST_TEXT the built test program (it writes the
// tokenizer.json files), SHARED the folder of reference vocabularies. With thousands of texts the result is a search
// for differences: `ELMS_TOKENIZER_VECTORS=FILE test_text "[text][peers]"`.
import {execFileSync} from "node:child_process";
import {createRequire} from "node:module";
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import {pathToFileURL} from "node:url";

const [peers, testText, shared, nTexts, seed = "1"] = process.argv.slice(2);
if (!nTexts) {
  console.error("usage: node make_tokenizer_vectors.mjs PEERS TEST_TEXT SHARED N_TEXTS [SEED]");
  process.exit(2);
}
const load = name => {
  const root = path.join(path.resolve(peers), "node_modules", name);
  const about = JSON.parse(fs.readFileSync(path.join(root, "package.json")));
  const entry = about.exports?.["."]?.node?.import ?? about.exports?.["."]?.import ?? about.module ?? about.main;
  return import(pathToFileURL(path.join(root, entry.default ?? entry)).href);
};

// A small generator of its own (mulberry32), so that the same seed gives the same texts everywhere.
let state = Number(seed) >>> 0;
const random = n => {
  state = (state + 0x6D2B79F5) >>> 0;
  let t = Math.imul(state ^ (state >>> 15), state | 1);
  t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
  return ((t ^ (t >>> 14)) >>> 0) % n;
};
const parts = ["Hello", "world", " the", " and", "tokenizer", "'s", "'LL", "'re", " don't", "I've", "O'Neil", "  ", "   ", " ",
  "\n", "\r\n", "\n\n", "\t", " \n ", "\t\t", "3", "42", "1234", "3.14", "١٢٣", "½", "²", "Ⅷ", "!", "?!", "...", " (", "[x]",
  "«", "—", "`", "$", "+=", "_", "~", "^|", "#include", "🙂", "👩‍👩‍👧", "🇩🇪", "✅", "日本語", "我想", "在", "ー", "한국어", "ñ",
  "é", "e\u0301", "a\u0323\u0302", "ß", "İ", "Ω", "нещо", "ไทย", "हिन्दी", "ﬁ", "ǅ", "\u00a0", "\u3000", "\u2003", "\u2028",
  "\u200b", "\u00ad", "\x01", "\x7f", "\x0b", "\x1c", "<s>", "</s>", "[CLS]", "[UNK]", "▁", "##", "<0x0A>", "Ġ",
  "<|endoftext|>", "<|eot_id|>", "antidisestablishmentarianism", "aaaaaaaaaaaaaaaaaaaaaaaaaaaa", "=======", "\"\"\"",
  "https://example.org/a?b=c&d=%20", "int main() { return 0; }", "naïve café", "Straße", "1,000,000", "2026-11-23T10:00"];
const randomText = () => {
  let text = "";
  for (let n = 1 + random(14); n > 0; --n) {
    const kind = random(10);
    if (kind === 0) {
      const c = random(4) === 0 ? random(0x110000) : random(0x3000);
      text += c >= 0xD800 && c < 0xE000 ? "x" : String.fromCodePoint(c);
    } else if (kind === 1) {
      text += String.fromCodePoint(0x20 + random(0x5F));
    } else {
      text += parts[random(parts.length)];
    }
  }
  return text;
};
const texts = Array.from({length: Number(nTexts)}, randomText);

// Where a peer is known to do something else than the tokenizer that models were trained with, it is not asked (null).
// llama.cpp's WordPiece: NFD cut to its first character (Hangul loses its vowels), drops \p{Mc}, splits at control
// characters that count as whitespace. llama.cpp's deepseek-coder: no Unicode whitespace in [\u0800-\u4e00]. JavaScript:
// \s has U+FEFF and lacks U+0085; its WordPiece takes ideographs beyond U+FFFF for
// letters, and it knows marks from U+1ACF on that are newer than utf8proc's Unicode.
const unlikeLlamaCpp = (name, pre) => name === "bert-bge" ? /[\p{Script=Hangul}\p{Mc}\p{Me}\x0b\x0c\x85]/u :
  pre === "deepseek-coder" || name === "deepseek-coder" ? /[\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]/u : /$^/u;
const unlikeJavaScript = name => name === "minilm" ? /[\u1acf-\u1aff\u{20000}-\u{2ffff}]/u : /[\x85\ufeff]/u;

// A vocabulary-only GGUF with another value of tokenizer.ggml.pre.
const withPre = (gguf, pre) => {
  const bytes = fs.readFileSync(gguf);
  const at = bytes.indexOf("tokenizer.ggml.pre") + "tokenizer.ggml.pre".length + 4;
  const size = Number(bytes.readBigUInt64LE(at));
  const head = Buffer.alloc(8);
  head.writeBigUInt64LE(BigInt(pre.length));
  return Buffer.concat([bytes.subarray(0, at), head, Buffer.from(pre), bytes.subarray(at + 8 + size)]);
};

const scratch = fs.mkdtempSync(path.join(os.tmpdir(), "elms_vectors_"));
const result = {texts, tokenizers: []};

const {getLlama, LlamaLogLevel} = await load("node-llama-cpp");
const llama = await getLlama({gpu: false, logLevel: LlamaLogLevel.disabled, build: "never", skipDownload: true});
const vocabs = path.join(shared, "tokenizers/ggml-vocab");
const ggufs = [["llama-spm"], ["phi-3"], ["deepseek-coder"], ["bert-bge"], ["gpt-2"], ["gpt-2", "llama-bpe"], ["gpt-2", "qwen2"],
  ["gpt-2", "qwen35"], ["gpt-2", "deepseek-coder"], ["gpt-2", "deepseek-v3"], ["gpt-2", "smollm"],
  ["gpt-2", "falcon"], ["gpt-2", "default"]];
for (const [name, pre] of ggufs) {
  let modelPath = path.join(vocabs, `ggml-vocab-${name}.gguf`);
  if (pre) {
    fs.writeFileSync(path.join(scratch, `${pre}.gguf`), withPre(modelPath, pre));
    modelPath = path.join(scratch, `${pre}.gguf`);
  }
  const model = await llama.loadModel({modelPath, vocabOnly: true});
  result.tokenizers.push({source: "gguf", name, pre: pre ?? null, ids: texts.map(text => unlikeLlamaCpp(name, pre).test(text) ? null : [...model.tokenize(text)])});
  await model.dispose();
}

execFileSync(testText, ["[.write_tokenizer_json]"], {env: {...process.env, ELMS_WRITE_TOKENIZER_JSON: scratch}});
const {Tokenizer} = await load("@huggingface/tokenizers");
for (const file of fs.readdirSync(scratch).filter(file => file.endsWith(".json")).sort()) {
  const tokenizer = new Tokenizer(JSON.parse(fs.readFileSync(path.join(scratch, file))), {});
  const name = file.slice(0, -5);
  const encode = text => unlikeJavaScript(name).test(text) ? null : tokenizer.encode(text, {add_special_tokens: false}).ids;
  result.tokenizers.push({source: "json", name, ids: texts.map(encode)});
}
fs.rmSync(scratch, {recursive: true});
const line = ({ids, ...rest}) => `{${JSON.stringify(rest).slice(1, -1)},"ids":[\n${ids.map(row => JSON.stringify(row)).join(",\n")}]}`;
console.log(`{"texts":[\n${texts.map(text => JSON.stringify(text)).join(",\n")}],\n"tokenizers":[${result.tokenizers.map(line).join(",\n")}]}`);
process.exit(0);

// llama.cpp as the reference: greedy continuations of a GGUF model, with the probabilities of the best candidates.
import {existsSync} from "node:fs";
import {join, resolve} from "node:path";
import {pathToFileURL} from "node:url";

/**
 * llama.cpp, or null where node-llama-cpp is not installed below `peersDir`. One thread unless speed is measured: with
 * more than there are free cores, llama.cpp's threads wait for each other by spinning, and a step of a tiny model takes
 * seconds instead of a millisecond.
 */
export async function loadLlamaCpp(peersDir, {threads = 1} = {}) {
  const entry = join(resolve(peersDir), "node_modules/node-llama-cpp/dist/index.js");
  if (!existsSync(entry)) return null;
  const library = await import(pathToFileURL(entry).href);
  return await library.getLlama({
    gpu: false, build: "never", skipDownload: true, maxThreads: threads, logLevel: library.LlamaLogLevel.error,
  });
}

/** One GGUF file in llama.cpp, with a KV cache in f16 as elms has it, or in f32. */
export class ReferenceModel {
  static async open(llama, modelPath, {contextTokens = 512, cache = "F16"} = {}) {
    const model = await llama.loadModel({modelPath});
    const context = await model.createContext({
      contextSize: Math.min(contextTokens, model.trainContextSize), threads: 1,
      flashAttention: false,  // on a CPU it sums in f16, and takes no notice of a cache in f32
      experimentalKvCacheKeyType: cache, experimentalKvCacheValueType: cache,
    });
    return new ReferenceModel(model, context);
  }

  constructor(model, context) {
    this.model = model;
    this.context = context;
    this.sequence = context.getSequence();
  }

  get architecture() {
    return this.model.fileInfo.metadata.general.architecture;
  }

  /** Ids of a prompt, with the BOS token where the file asks for one. Text is never read as control tokens. */
  tokenize(prompt) {
    const tokens = [...this.model.tokenize(prompt, false)];
    if (this.model.tokens.shouldPrependBosToken) tokens.unshift(this.model.tokens.bos);
    return tokens;
  }

  isEndOfGeneration(token) {
    return this.model.isEogToken(token);
  }

  /**
   * The best `nTop` candidates after each token from index `first` on, `tokens` being added to what the sequence holds
   * already: for each [{id, p}…], best first, with p the softmax over the whole vocabulary at temperature 1.
   */
  async #evaluate(tokens, first, nTop) {
    const wanted = {generateNext: {totalLogitWeight: true, logits: {filter: {includeTop: nTop}}}};
    const outputs = await this.sequence.controlledEvaluate(tokens.map((token, i) => i < first ? token : [token, wanted]));
    return outputs.slice(first).map(({next: {logits, totalLogitWeight}}) => {
      const ranked = [...logits].sort(([idA, a], [idB, b]) => b - a || idA - idB);
      return ranked.map(([id, logit]) => ({id, p: Math.exp(logit - ranked[0][1]) / totalLogitWeight}));
    });
  }

  /** Greedy continuation: [{token, top: [{id, p}…]}], one entry a step. */
  async greedy(promptTokens, nSteps, nTop) {
    await this.sequence.clearHistory();
    const steps = [];
    for (let input = promptTokens; steps.length < nSteps; input = [steps.at(-1).token]) {
      const [top] = await this.#evaluate(input, input.length - 1, nTop);
      steps.push({token: top[0].id, top});
    }
    return steps;
  }

  /** The candidates that this model would have had at each step of a given continuation: a list for each token. */
  async candidates(promptTokens, continuation, nTop) {
    await this.sequence.clearHistory();
    return await this.#evaluate([...promptTokens, ...continuation.slice(0, -1)], promptTokens.length - 1, nTop);
  }

  async close() {
    await this.context.dispose();
    await this.model.dispose();
  }
}

/** An encoder in llama.cpp: one vector for a text, pooled as the file says. */
export class ReferenceEncoder {
  static async open(llama, modelPath, {contextTokens = 512} = {}) {
    const model = await llama.loadModel({modelPath, defaultContextFlashAttention: false});
    const context = await model.createEmbeddingContext({contextSize: Math.min(contextTokens, model.trainContextSize), threads: 1});
    return new ReferenceEncoder(model, context);
  }

  constructor(model, context) {
    this.model = model;
    this.context = context;
  }

  /** Ids with [CLS] and [SEP] around them. */
  tokenize(text) {
    return [this.model.tokens.bos, ...this.model.tokenize(text, false), this.model.tokens.sep];
  }

  async embed(tokens) {
    return [...(await this.context.getEmbeddingFor(tokens)).vector];
  }

  async close() {
    await this.context.dispose();
    await this.model.dispose();
  }
}

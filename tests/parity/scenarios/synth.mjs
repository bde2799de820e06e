// synth:f32, synth:f16, synth:q8_0. Random weights in every combination that an architecture allows: tied and separate
// output head, one and several queries to a key/value head, with and without biases.
import {compareElms, kPrompts, referenceRuns} from "../lib/parity.mjs";

export const kSharedFiles = [];

const kPlain = {d_model: 128, n_layers: 3, n_heads: 4, d_ff: 192, n_vocab: 512, context_length: 256};

/** Biases: llama may have them, qwen2 always has, qwen3 never. */
const kBiases = {llama: [false, true], qwen2: [true], qwen3: [false]};

function* shapes() {
  for (const architecture of Object.keys(kBiases)) {
    for (const tied_head of [false, true]) {
      for (const n_kv_heads of [4, 2]) {
        for (const qkv_bias of kBiases[architecture]) yield {...kPlain, architecture, tied_head, n_kv_heads, qkv_bias};
      }
    }
  }
  yield {...kPlain, architecture: "llama", n_kv_heads: 1, tied_head: false, qkv_bias: false};
  // A head that is not d_model / n_heads wide.
  yield {...kPlain, architecture: "qwen3", n_kv_heads: 2, head_dim: 64, tied_head: false, qkv_bias: false};
}

export async function run(env) {
  const [type] = env.options;
  for (const shape of shapes()) {
    const {architecture, tied_head, n_kv_heads, qkv_bias, head_dim} = shape;
    const name = [architecture, type, `4/${n_kv_heads} heads`, tied_head && "tied", qkv_bias && "biases",
                  head_dim && `head of ${head_dim}`].filter(Boolean).join(" ");
    const model = env.scratch("synth.gguf");
    try {
      await env.elms.json("synth", "--shape", JSON.stringify(shape), "--type", type, "-o", model);
      const reference = await referenceRuns(env, model, kPrompts.slice(0, 3), 32);
      await compareElms(env, name, model, reference);
    } catch (error) {
      env.report.addError(name, error);
    }
  }
}

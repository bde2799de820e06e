// Low-rank recovery: elms with the adapter of a level gives the tokens that llama.cpp gives on the level with the adapter
// merged into it.
import {compareElms, kPrompts, kStoriesModel, kStoriesText, referenceRuns} from "../lib/parity.mjs";

export const kSharedFiles = [kStoriesModel, kStoriesText];

export async function run(env) {
  const recovered = env.scratch("recovered.gguf");
  const text = env.shared(kStoriesText);
  const {levels, recovery} = await env.elms.json(
    "elasticize", env.shared(kStoriesModel), "-o", recovered, "--type", "f32", "--levels", "0.5,0.8", "--calib", text,
    "--recover", "lora", "--recover-data", text, "--recover-steps", 10, "--recover-rows", 4);
  for (const {level, kl_before, kl_after} of recovery.levels) {
    env.report.check(`level ${level} is nearer to the full model`, kl_after < kl_before, `${kl_before} -> ${kl_after}`);
  }
  for (let level = 0; level + 1 < levels.length; ++level) {
    const merged = env.scratch(`merged${level}.gguf`);
    await env.elms.json("extract", recovered, "--level", level, "--merge", "-o", merged);
    const reference = await referenceRuns(env, merged, kPrompts.slice(0, 4), 48);
    await compareElms(env, `level ${level} with its adapter`, recovered, reference, ["--level", level]);
    await compareElms(env, `level ${level} merged`, merged, reference);
  }
}

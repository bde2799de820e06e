// levels:uniform, levels:global. elms at a level gives the tokens that llama.cpp gives on a plain model of that level:
// architecture llama where all layers are alike, deci where they differ.
import {compareElms, kPrompts, kStoriesModel, kStoriesText, referenceRuns} from "../lib/parity.mjs";

export const kSharedFiles = [kStoriesModel, kStoriesText];

export async function run(env) {
  const [allocation] = env.options;
  const elastic = env.scratch("elastic.gguf");
  await env.elms.json("elasticize", env.shared(kStoriesModel), "-o", elastic, "--type", "f32", "--allocation", allocation,
                      "--calib", env.shared(kStoriesText));
  const {levels} = await env.elms.info(elastic);
  const architectures = new Set();
  for (let level = 0; level < levels.length; ++level) {
    const extracted = env.scratch(`level${level}.gguf`);
    await env.elms.json("extract", elastic, "--level", level, "-o", extracted);
    const reference = await referenceRuns(env, extracted, kPrompts.slice(0, 4), 48);
    architectures.add(reference.architecture);
    const name = `level ${level} of ${levels.length} (${reference.architecture})`;
    await compareElms(env, name, elastic, reference, ["--level", level]);
    await compareElms(env, `${name} extracted`, extracted, reference);
  }
  const expected = allocation === "uniform" ? "llama" : "deci";
  if (!architectures.has(expected)) throw new Error(`no level was extracted as ${expected}: the scenario proves nothing`);
}

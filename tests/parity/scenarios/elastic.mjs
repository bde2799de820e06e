// elastic:flap, elastic:magnitude. Making a model elastic changes nothing at full width, neither for elms nor for
// llama.cpp, which runs the elastic file as an ordinary one.
import {compareElms, compareFiles, kPrompts, kStoriesModel, kStoriesText, referenceRuns} from "../lib/parity.mjs";

export const kSharedFiles = [kStoriesModel, kStoriesText];

export async function run(env) {
  const [importance] = env.options;
  const original = env.shared(kStoriesModel);
  const elastic = env.scratch("elastic.gguf");
  await env.elms.json("elasticize", original, "-o", elastic, "--type", "f32", "--importance", importance,
                      "--calib", env.shared(kStoriesText));
  const reference = await referenceRuns(env, original, kPrompts, 64);
  await compareElms(env, `elms on the elastic file (${importance})`, elastic, reference);
  await compareFiles(env, `llama.cpp on the elastic file (${importance})`, elastic, reference);
}

// run.mjs SCENARIO --elms PATH --peers DIR --shared DIR: compares elms with llama.cpp. Exit code 0 when all agree, 1
// when not, 77 with "SKIPPED: reason" where it cannot be tried here.
import {existsSync, mkdtempSync, readdirSync, rmSync} from "node:fs";
import {tmpdir} from "node:os";
import {dirname, join} from "node:path";
import {fileURLToPath, pathToFileURL} from "node:url";
import {parseArgs} from "node:util";
import {Elms} from "./lib/elms.mjs";
import {loadLlamaCpp} from "./lib/reference.mjs";
import {Report} from "./lib/report.mjs";

const kFailed = 1, kUsage = 2, kSkipped = 77;
const here = dirname(fileURLToPath(import.meta.url));

function skip(reason) {
  console.log(`SKIPPED: ${reason}`);
  process.exit(kSkipped);
}

function usage(problem) {
  const names = readdirSync(join(here, "scenarios")).map(file => file.replace(/\.mjs$/, ""));
  console.error(`${problem}\nusage: run.mjs SCENARIO --elms PATH [--peers DIR] [--shared DIR] [--keep]`);
  console.error(`scenarios: ${names.join(", ")}`);
  process.exit(kUsage);
}

const {values, positionals} = parseArgs({
  allowPositionals: true,
  options: {
    elms: {type: "string"},
    "encode-lines": {type: "string"},  // for the scenario vocab
    "encoder-states": {type: "string"},  // for the scenario bert
    peers: {type: "string", default: join(here, "../../build/peers")},
    shared: {type: "string", default: join(here, "../../../shared")},
    keep: {type: "boolean", default: false},  // the scratch folder, to look at what was made
  },
});
const sharedDir = process.env.ELMS_SHARED_DIR ?? values.shared;  // as the C++ tests have it
const [name, ...options] = (positionals[0] ?? "").split(":");
const scenarioFile = join(here, "scenarios", `${name}.mjs`);
if (!name || !existsSync(scenarioFile)) usage(`no scenario "${name}"`);
if (!values.elms || !existsSync(values.elms)) usage(`--elms: no program "${values.elms ?? ""}"`);

const scenario = await import(pathToFileURL(scenarioFile).href);
for (const file of scenario.kSharedFiles) {
  if (!existsSync(join(sharedDir, file))) skip(`no ${file} in ${sharedDir}`);
}
const llama = await loadLlamaCpp(values.peers).catch(error => skip(`llama.cpp does not load: ${error.message}`));
if (llama === null) skip(`no node-llama-cpp in ${values.peers} (tests/parity/install.sh puts it there)`);

const scratch = mkdtempSync(join(tmpdir(), "elms_parity_"));
const report = new Report();
try {
  await scenario.run({
    llama, report, options, elms: new Elms(values.elms), encodeLines: values["encode-lines"], encoderStates: values["encoder-states"],
    shared: file => join(sharedDir, file), scratch: file => join(scratch, file),
  });
} catch (error) {
  report.addError(name, error);
} finally {
  if (values.keep) console.log(`kept ${scratch}`);
  else rmSync(scratch, {recursive: true, force: true});
}
console.log(`${positionals[0]}: ${report.summary()}`);
process.exit(report.ok ? 0 : kFailed);

// The result of run.mjs for people.
const percent = share => `${(100 * share).toFixed(0)}%`;

function readable(value, unit) {
  if (unit === "bytes") return `${(value / 1e6).toFixed(1)} MB`;
  return `${value.toFixed(value < 100 ? 2 : 1)} ${unit}`;
}

export function printTable({model, threads, rounds, repeats, elms, llama_cpp: peer, figures}) {
  console.log(`${model}, ${threads} threads, ${rounds} turns each of ${repeats} runs; medians, spread in brackets`);
  console.log(`elms: ${elms.isa} kernels`);
  console.log(`llama.cpp: ${peer.llama_cpp} (${peer.package}, ${peer.cpu}), batches of ${peer.batch_tokens}, KV cache in ` +
              `${peer.kv_type}, flash attention ${peer.flash_attention ? "on" : "off"}, mmap ${peer.mmap ? "on" : "off"}; ` +
              `memory without the ${readable(peer.runtime_rss_bytes, "bytes")} of Node.js itself`);
  const cell = ({median, spread}, unit) => `${readable(median, unit)} (${percent(spread)})`;
  const rows = [["", "elms", "llama.cpp", "elms / llama.cpp", "better"]];
  for (const {name, unit, better, elms: ours, llama_cpp: theirs, ratio} of figures) {
    rows.push([name, cell(ours, unit), cell(theirs, unit), `${ratio.median.toFixed(2)} (${percent(ratio.spread)})`, better]);
  }
  const widths = rows[0].map((_, column) => Math.max(...rows.map(row => row[column].length)));
  for (const row of rows) {
    console.log(row.map((text, i) => i === 0 ? text.padEnd(widths[i]) : text.padStart(widths[i])).join("  ").trimEnd());
  }
}

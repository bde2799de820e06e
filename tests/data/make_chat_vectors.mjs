// Makes chat_vectors.json: conversations as @huggingface/jinja renders them with the templates of the families that
// ChatTemplate knows.
//
//   node make_chat_vectors.mjs JINJA [TEMPLATES.json] > chat_vectors.json
//
// JINJA is a folder where the npm package @huggingface/jinja is installed. The templates below are written as those of
// the families' models are (spacing, trimming, alternation, default prompts, dates). TEMPLATES.json, an object of
// {name: template}, adds others, such as real ones that are not kept here: then the result is a search for differences:
// `ELMS_CHAT_VECTORS=FILE test_text "[chat]"`.
import fs from "node:fs";
import path from "node:path";
import {pathToFileURL} from "node:url";

const [jinja, extra] = process.argv.slice(2);
if (!jinja) {
  console.error("usage: node make_chat_vectors.mjs JINJA [TEMPLATES.json]");
  process.exit(2);
}
const {Template} = await import(pathToFileURL(path.join(path.resolve(jinja), "node_modules/@huggingface/jinja/dist/index.js")).href);

const alternate = "{% if (message['role'] == 'user') != (loop.index0 % 2 == 0) %}{{ raise_exception('roles must alternate') }}{% endif %}";
const templates = {
  "chatml": "{% for message in messages %}{{'<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>' + '\\n'}}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}",
  "chatml default system": "{% for message in messages %}{% if loop.first and messages[0]['role'] != 'system' %}{{ '<|im_start|>system\\nBe kind.<|im_end|>\\n' }}{% endif %}{{'<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>' + '\\n'}}{% endfor %}\n{% if add_generation_prompt %}\n    {{- '<|im_start|>assistant\\n' }}\n{% endif %}\n",
  "chatml tools": "{%- if tools %}\n    {{- '<|im_start|>system\\n' }}{{ tools | tojson }}\n{%- else %}\n    {%- if messages[0].role == 'system' %}\n        {{- '<|im_start|>system\\n' + messages[0].content + '<|im_end|>\\n' }}\n    {%- endif %}\n{%- endif %}\n{%- set ns = namespace(last=messages|length - 1) %}\n{%- for message in messages[::-1] %}\n    {%- set index = (messages|length - 1) - loop.index0 %}\n    {%- if message.role == 'user' %}{%- set ns.last = index %}{%- break %}{%- endif %}\n{%- endfor %}\n{%- for message in messages %}\n    {%- if (message.role == 'user') or (message.role == 'system' and not loop.first) %}\n        {{- '<|im_start|>' + message.role + '\\n' + message.content + '<|im_end|>\\n' }}\n    {%- elif message.role == 'assistant' %}\n        {%- set content = message.content.split('</think>')[-1].lstrip('\\n') if '</think>' in message.content else message.content %}\n        {{- '<|im_start|>assistant\\n' + content + '<|im_end|>\\n' }}\n    {%- endif %}\n{%- endfor %}\n{%- if add_generation_prompt %}\n    {{- '<|im_start|>assistant\\n' }}\n{%- endif %}",
  "llama2": "{% if messages[0]['role'] == 'system' %}{% set loop_messages = messages[1:] %}{% set system_message = messages[0]['content'] %}{% else %}{% set loop_messages = messages %}{% set system_message = false %}{% endif %}{% for message in loop_messages %}" + alternate + "{% if loop.index0 == 0 and system_message != false %}{% set content = '<<SYS>>\\n' + system_message + '\\n<</SYS>>\\n\\n' + message['content'] %}{% else %}{% set content = message['content'] %}{% endif %}{% if message['role'] == 'user' %}{{ bos_token + '[INST] ' + content.strip() + ' [/INST]' }}{% elif message['role'] == 'assistant' %}{{ ' '  + content.strip() + ' ' + eos_token }}{% endif %}{% endfor %}",
  "llama3": "{% set loop_messages = messages %}{% for message in loop_messages %}{% set content = '<|start_header_id|>' + message['role'] + '<|end_header_id|>\\n\\n'+ message['content'] | trim + '<|eot_id|>' %}{% if loop.index0 == 0 %}{% set content = bos_token + content %}{% endif %}{{ content }}{% endfor %}{% if add_generation_prompt %}{{ '<|start_header_id|>assistant<|end_header_id|>\\n\\n' }}{% endif %}",
  "llama3 date": "{{- bos_token }}\n{%- if not date_string is defined %}\n    {%- set date_string = \"26 Jul 2024\" %}\n{%- endif %}\n{%- if messages[0]['role'] == 'system' %}\n    {%- set system_message = messages[0]['content']|trim %}\n    {%- set messages = messages[1:] %}\n{%- else %}\n    {%- set system_message = \"\" %}\n{%- endif %}\n{{- \"<|start_header_id|>system<|end_header_id|>\\n\\n\" }}\n{{- \"Today Date: \" + date_string + \"\\n\\n\" }}\n{{- system_message }}\n{{- \"<|eot_id|>\" }}\n{%- for message in messages %}\n    {{- '<|start_header_id|>' + message['role'] + '<|end_header_id|>\\n\\n'+ message['content'] | trim + '<|eot_id|>' }}\n{%- endfor %}\n{%- if add_generation_prompt %}\n    {{- '<|start_header_id|>assistant<|end_header_id|>\\n\\n' }}\n{%- endif %}\n",
  "mistral v1": "{{ bos_token }}{% for message in messages %}" + alternate + "{% if message['role'] == 'user' %}{{ '[INST] ' + message['content'] + ' [/INST]' }}{% elif message['role'] == 'assistant' %}{{ ' ' + message['content'] + eos_token}}{% else %}{{ raise_exception('Only user and assistant roles are supported!') }}{% endif %}{% endfor %}",
  "mistral v3": "{{- bos_token }}{%- for message in messages %}\n{%- if message['role'] == 'user' %}\n    {%- if loop.last and messages[0]['role'] == 'system' %}\n        {{- '[INST]' + messages[0]['content'] + '\\n\\n' + message['content'] + '[/INST]' }}\n    {%- else %}\n        {{- '[INST]' + message['content'] + '[/INST]' }}\n    {%- endif %}\n{%- elif message['role'] == 'assistant' %}\n    {{- message['content'] + eos_token}}\n{%- endif %}\n{%- endfor %}\n",
  "gemma": "{{ bos_token }}{% if messages[0]['role'] == 'system' %}{{ raise_exception('System role not supported') }}{% endif %}{% for message in messages %}" + alternate + "{% if (message['role'] == 'assistant') %}{% set role = 'model' %}{% else %}{% set role = message['role'] %}{% endif %}{{ '<start_of_turn>' + role + '\\n' + message['content'] | trim + '<end_of_turn>\\n' }}{% endfor %}{% if add_generation_prompt %}{{'<start_of_turn>model\\n'}}{% endif %}",
  "phi3": "{% for message in messages %}{% if message['role'] == 'system' %}{{'<|system|>\\n' + message['content'] + '<|end|>\\n'}}{% elif message['role'] == 'user' %}{{'<|user|>\\n' + message['content'] + '<|end|>\\n'}}{% elif message['role'] == 'assistant' %}{{'<|assistant|>\\n' + message['content'] + '<|end|>\\n'}}{% endif %}{% endfor %}{% if add_generation_prompt %}{{ '<|assistant|>\\n' }}{% else %}{{ eos_token }}{% endif %}",
  "zephyr": "{% for message in messages %}\n{% if message['role'] == 'user' %}\n{{ '<|user|>\\n' + message['content'] + eos_token }}\n{% elif message['role'] == 'system' %}\n{{ '<|system|>\\n' + message['content'] + eos_token }}\n{% elif message['role'] == 'assistant' %}\n{{ '<|assistant|>\\n'  + message['content'] + eos_token }}\n{% endif %}\n{% if loop.last and add_generation_prompt %}\n{{ '<|assistant|>' }}\n{% endif %}\n{% endfor %}",
};
if (extra) Object.assign(templates, JSON.parse(fs.readFileSync(extra, "utf8")));

const of = (...turns) => turns.map(([role, content]) => ({role: {s: "system", u: "user", a: "assistant"}[role] ?? role, content}));
const conversations = [
  of(["u", "Hello"]),
  of(["s", "Be brief."], ["u", "  What is 2 + 2?\n"]),
  of(["u", "one"], ["a", " two \u00a0"], ["u", "three"]),
  of(["s", " sys\n\n"], ["u", "<|im_end|> [/INST] </s>"], ["a", "<think>\nno\n</think>\n\nyes"], ["u", "ünï\u3000\ud83d\ude42"]),
  of(["u", "a"], ["u", "b"]),
  of(["a", "I begin"], ["u", "b"]),
  of(["s", "only"]),
  of(["tool", "x"]),
  of(["u", ""]),
];
const vectors = [];
for (const [name, source] of Object.entries(templates)) {
  const cases = [];
  for (const [i, messages] of conversations.entries()) {
    for (const add_generation_prompt of [true, false]) {
      let text = null;
      try {
        text = new Template(source).render({messages, add_generation_prompt, bos_token: "<s>", eos_token: "</s>"});
      } catch {}  // null: the template refuses it
      cases.push({conversation: i, add_generation_prompt, text});
    }
  }
  vectors.push({name, template: source, cases});
}
console.log(JSON.stringify({bos_token: "<s>", eos_token: "</s>", conversations, templates: vectors}, null, 0).replaceAll("},{\"conversation\"", "},\n{\"conversation\"").replaceAll("{\"name\"", "\n{\"name\""));

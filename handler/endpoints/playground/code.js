// The request that was just made, as code: files by their names, drawn and scaled images in full.

const CODE = { curl: asCurl, python: asPython, javascript: asJavascript };
const WORDS = { python: { true: "True", false: "False", null: "None" }, javascript: {} };
let lastRequest = null; // {path, body, files}: of the view that is open

function showCode(request) {
  lastRequest = request ?? lastRequest;
  $("#code-button").hidden = !lastRequest;
  if (lastRequest) $("#code-shown").textContent = codeFor(shortened);
}

function codeFor(change) {
  const chosen = $("#code-languages [aria-selected=true]");
  $("#code-shown").setAttribute("aria-labelledby", chosen.id);
  return change(CODE[chosen.id.replace("code-", "")](lastRequest));
}

// For the eye; what is copied is whole.
function shortened(code) {
  return code
    .replace(/(base64,[\w+/]{24})[\w+/=]{40,}/g, "$1…")
    .replace(/((?:-?[\d.e-]+, ?){4})(?:-?[\d.e-]+, ?){8,}/g, "$1…, ");
}

function asCurl({ path, body, files }) {
  let json = JSON.stringify(body).replace(/[\\$`]/g, "\\$&"); // what a shell would read in a here-document
  for (const { uri, file } of files) {
    const name = file.replaceAll("'", `'\\''`);
    json = json.replaceAll(uri, () => `$(base64 < '${name}' | tr -d '\\n')`);
  }
  const key = apiKey() ? ` \\\n  -H "authorization: Bearer $OPENCLIP_API_KEY"` : "";
  return `curl -sS '${apiUrl(path)}'${key} \\\n  -H 'content-type: application/json' -d @- <<JSON\n${json}\nJSON\n`;
}

function asPython({ path, body, files }) {
  const key = apiKey();
  const reads = `
def image(path):
    with open(path, "rb") as file:
        return base64.b64encode(file.read()).decode()

`;
  return `${files.length ? "import base64\n" : ""}import json
${key ? "import os\n" : ""}import urllib.request
${files.length ? `\n${reads}` : ""}
body = ${literal(body, WORDS.python, files.map(({ uri, file }) => [uri, `image(${JSON.stringify(file)})`]))}
headers = {"content-type": "application/json"${key ? `, "authorization": "Bearer " + os.environ["OPENCLIP_API_KEY"]` : ""}}
request = urllib.request.Request(${JSON.stringify(apiUrl(path))}, json.dumps(body).encode(), headers)
with urllib.request.urlopen(request) as response:
    print(json.dumps(json.load(response), indent=2, ensure_ascii=False))
`;
}

function asJavascript({ path, body, files }) {
  const key = apiKey() ? `, authorization: \`Bearer \${process.env.OPENCLIP_API_KEY}\`` : "";
  const reads = `import { readFile } from "node:fs/promises";

const image = (path) => readFile(path, "base64");
`;
  return `${files.length ? reads : ""}const body = ${literal(body, WORDS.javascript, files.map(({ uri, file }) => [uri, `await image(${JSON.stringify(file)})`]))};
const response = await fetch(${JSON.stringify(apiUrl(path))}, {
  method: "POST",
  headers: { "content-type": "application/json"${key} },
  body: JSON.stringify(body),
});
console.log(JSON.stringify(await response.json(), null, 2));
`;
}

// A value as both languages write it, but for the names of true, false and null; some strings are read from files.
function literal(value, words, files, indent = "") {
  const inner = `${indent}    `;
  const found = files.find(([uri]) => uri === value);
  if (found) return found[1];
  if (typeof value === "string") return JSON.stringify(value);
  if (typeof value !== "object" || value === null) return words[value] ?? JSON.stringify(value);
  if (Array.isArray(value) && value.every((one) => typeof one === "number")) return `[${value.join(", ")}]`;
  const rows = Array.isArray(value)
    ? value.map((one) => `${inner}${literal(one, words, files, inner)},\n`)
    : Object.entries(value).map(([name, one]) => `${inner}${JSON.stringify(name)}: ${literal(one, words, files, inner)},\n`);
  const [open, close] = Array.isArray(value) ? "[]" : "{}";
  return rows.length ? `${open}\n${rows.join("")}${indent}${close}` : open + close;
}

async function copyCode({ target }) {
  let said = "code.copied";
  try {
    await navigator.clipboard.writeText(codeFor((code) => code));
  } catch {
    said = "code.refused";
  }
  target.textContent = t(said);
  setTimeout(() => (target.textContent = t("code.copy")), 1500);
}

$("#code-button").addEventListener("click", ({ target }) => {
  $("#code").hidden = !$("#code").hidden;
  target.setAttribute("aria-expanded", String(!$("#code").hidden));
});
tabs($("#code-languages"), () => showCode());
$("#code-copy").addEventListener("click", copyCode);

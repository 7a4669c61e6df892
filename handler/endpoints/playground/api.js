// The API, asked from its own page: same origin, the key from this tab's memory, errors as the API words them.

const KEY = "openclip-api-key";

// `say` returns the message, in the language that is chosen when it is shown.
class ApiProblem extends Error {
  constructor(status, code, say) {
    super();
    this.status = status;
    this.code = code;
    this.say = say;
  }
}

// A browser that lets no site keep data throws where it is asked: then the page keeps things until it is left.
function storage(kind) {
  try {
    if (window[kind]) return window[kind];
  } catch {
    // what it keeps stands below
  }
  return (storage.memory ??= inMemory(new Map()));
}

function inMemory(items) {
  return {
    getItem: (name) => items.get(name) ?? null,
    setItem: (name, value) => items.set(name, value),
    removeItem: (name) => items.delete(name),
  };
}

function apiKey() {
  return storage("sessionStorage").getItem(KEY);
}

function apiUrl(path) {
  return new URL(path, document.baseURI).href;
}

// A header carries these characters alone. Of a key with others the API says that it is none.
function authorization() {
  const key = apiKey();
  return /^[!-~]+$/.test(key ?? "") ? { authorization: `Bearer ${key}` } : {};
}

// Returns {body, timing}; `timing.full` names the fields of texts that fill the model's context. Throws ApiProblem, also for what a gateway or no network answers.
async function ask(path, body) {
  const started = performance.now();
  const headers = { ...authorization(), ...(body ? { "content-type": "application/json" } : {}) };
  let response, text;
  try {
    response = await fetch(apiUrl(path), { method: body ? "POST" : "GET", headers, body: body && JSON.stringify(body) });
    text = await response.text();
  } catch {
    throw new ApiProblem(0, "no_answer", () => t("problem.reach"));
  }
  const milliseconds = performance.now() - started;
  let answer = null;
  try {
    answer = JSON.parse(text);
  } catch {
    // what a gateway says is not always JSON: the status has to do
  }
  if (!response.ok) throw problem(response.status, answer);
  if (answer === null) throw new ApiProblem(response.status, "not_json", () => t("problem.json"));
  return { body: answer, timing: timing(response, milliseconds) };
}

function problem(status, answer) {
  if (status === 401 || status === 403) {
    const known = Boolean(apiKey());
    return new ApiProblem(status, "key", () => t(known ? "problem.key" : "problem.no-key"));
  }
  if (status === 429) return new ApiProblem(status, "throttled", () => t("problem.throttled"));
  const error = answer?.error;
  if (error?.message) return new ApiProblem(status, error.code, () => (error.param ? `${error.param}: ${error.message}` : error.message));
  if (status === 413) return new ApiProblem(status, "too_large", () => t("problem.large"));
  if (status === 504 || status === 503) return new ApiProblem(status, "no_answer_in_time", () => t("problem.time"));
  return new ApiProblem(status, `http_${status}`, () => answer?.message ?? t("problem.status", { status }));
}

function timing(response, milliseconds) {
  const parts = (response.headers.get("server-timing") ?? "").split(",").map((part) => part.trim().split(";dur="));
  return {
    milliseconds,
    stages: Object.fromEntries(parts.filter((part) => part.length === 2).map(([name, value]) => [name, Number(value)])),
    cold: response.headers.get("x-openclip-cold") === "true",
    manifest: response.headers.get("x-openclip-manifest"), // of the bundle whose vectors these are
    full: (response.headers.get("x-openclip-full") ?? "").split(", ").filter(Boolean),
  };
}

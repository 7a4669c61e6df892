// The API, asked from its own page: same origin, the key from this tab's memory, errors as the API words them.

const KEY = "openclip-api-key";

class ApiProblem extends Error {
  constructor(status, code, message) {
    super(message);
    this.status = status;
    this.code = code;
  }
}

function apiUrl(path) {
  return new URL(path, document.baseURI).href;
}

function authorization() {
  const key = sessionStorage.getItem(KEY);
  return key ? { authorization: `Bearer ${key}` } : {};
}

// Returns {body, timing}. Throws ApiProblem, also for what a gateway or no network answers.
async function ask(path, body) {
  const started = performance.now();
  const headers = { ...authorization(), ...(body ? { "content-type": "application/json" } : {}) };
  let response;
  try {
    response = await fetch(apiUrl(path), { method: body ? "POST" : "GET", headers, body: body && JSON.stringify(body) });
  } catch {
    throw new ApiProblem(0, "no_answer", "The API cannot be reached from here. Is it still running?");
  }
  const text = await response.text();
  const milliseconds = performance.now() - started;
  let answer = null;
  try {
    answer = JSON.parse(text);
  } catch {
    // what a gateway says is not always JSON: the status has to do
  }
  if (!response.ok) throw problem(response.status, answer);
  if (answer === null) throw new ApiProblem(response.status, "not_json", "The response is not JSON: is this the API's own page?");
  return { body: answer, timing: timing(response, milliseconds) };
}

function problem(status, answer) {
  if (status === 401 || status === 403) {
    const given = sessionStorage.getItem(KEY) ? "The API does not take this key." : "This API asks for a key.";
    return new ApiProblem(status, "key", `${given} Enter it above.`);
  }
  if (status === 429) return new ApiProblem(status, "throttled", "Too many requests at once: wait a moment, then compare again.");
  const error = answer?.error;
  if (error?.message) return new ApiProblem(status, error.code, error.param ? `${error.param}: ${error.message}` : error.message);
  if (status === 413) return new ApiProblem(status, "too_large", "The images are too large for one request: remove some.");
  if (status === 504 || status === 503) return new ApiProblem(status, "no_answer_in_time", "The function did not answer in time. The next try finds it warm.");
  return new ApiProblem(status, `http_${status}`, answer?.message ?? `The gateway answered ${status}.`);
}

function timing(response, milliseconds) {
  const parts = (response.headers.get("server-timing") ?? "").split(",").map((part) => part.trim().split(";dur="));
  return {
    milliseconds,
    stages: Object.fromEntries(parts.filter((part) => part.length === 2).map(([name, value]) => [name, Number(value)])),
    cold: response.headers.get("x-openclip-cold") === "true",
  };
}

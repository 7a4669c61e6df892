// Asks the API through each client, and prints what came back as JSON: `node golden.mjs <URL> <model> < inputs`.
import { text } from "node:stream/consumers";
import { createOpenAICompatible } from "@ai-sdk/openai-compatible";
import { OpenAIEmbeddings } from "@langchain/openai";
import { embedMany } from "ai";
import OpenAI from "openai";

const [baseURL, model] = process.argv.slice(2);
const { texts, images } = JSON.parse(await text(process.stdin));
const apiKey = "...";
const client = new OpenAI({ baseURL, apiKey });
const langchain = new OpenAIEmbeddings({ model, apiKey, configuration: { baseURL } });
const clip = createOpenAICompatible({ name: "openclip", baseURL, apiKey }).textEmbeddingModel(model);

const rows = (response) => response.data.map((item) => Array.from(item.embedding));
const refused = (promise) => promise.then(() => null, ({ status, statusCode, code, message, requestID }) =>
  ({ status: status ?? statusCode, code, message, requestID }));
const first = await client.embeddings.create({ model, input: texts });
const many = await embedMany({ model: clip, values: texts });

console.log(JSON.stringify({
  texts: {
    "openai, base64": rows(first),
    "openai, float": rows(await client.embeddings.create({ model, input: texts, encoding_format: "float" })),
    langchain: await langchain.embedDocuments(texts),
    ai: many.embeddings,
  },
  images: rows(await client.embeddings.create({ model, input: images })),
  tokens: [first.usage.total_tokens, many.usage.tokens],
  requestId: first._request_id,
  refused: [
    await refused(client.embeddings.create({ model, input: ["a", ""] })),
    await refused(langchain.embedQuery("")),
    await refused(embedMany({ model: clip, values: ["a", ""] })),
  ],
}));

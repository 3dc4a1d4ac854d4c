// The Hub's HTTP API: envelope, refusals, retries of what is safe to repeat.
import { learn } from "./time.js";

const DEADLINE_MS = 20_000;

/** A refusal of the Hub, or its silence (`UNREACHABLE`: whether it acted is unknown). */
export class Fault extends Error {
  constructor(status, code, message, details = [], retryAfterSeconds = null) {
    super(message);
    Object.assign(this, { status, code, details, retryAfterSeconds });
  }
  /** What is wrong with one field. */
  field(name) {
    return Array.isArray(this.details) ? this.details.find((one) => one.field === name)?.message : undefined;
  }
}

/** The Hub's words as a sentence: other words may follow. An id or a field at their beginning stays as it is. */
const sentence = (words) => words.replace(/^[a-z]+(?=[ ,;’'])/, (first) => first[0].toUpperCase() + first.slice(1)).replace(/[^.!?…]$/, "$&.");

const listeners = new Set();
/** Be told when an answer says that nobody is signed in (any more). */
export const onSignedOut = (listener) => listeners.add(listener);

async function send(method, path, body, version) {
  let response, text;
  const headers = { Accept: "application/json" };
  const isForm = body instanceof FormData; // its type and boundary are the browser's to say
  if (body !== undefined && !isForm) headers["Content-Type"] = "application/json";
  if (version) headers["If-Match"] = version;
  try {
    response = await fetch(path, {
      method,
      headers,
      body: body === undefined || isForm ? body : JSON.stringify(body),
      credentials: "same-origin",
      cache: "no-store",
      signal: AbortSignal.timeout(DEADLINE_MS),
    });
    text = await response.text();
  } catch {
    throw new Fault(0, "UNREACHABLE", "The Hub does not answer.");
  }
  const date = response.headers.get("date");
  if (date) learn(date);
  let answer = null;
  try { answer = text ? JSON.parse(text) : null; } catch { /* a proxy's page: judged by its status */ }
  return { response, answer };
}

/**
 * Call the API; answers `{data, meta, version}`. A GET waits and tries again when the Hub says it is too early or too full.
 * `version`: of what is changed, as it was read (`ETag`, `If-Match`).
 */
export async function call(method, path, body, version) {
  for (let attempt = 0; ; attempt += 1) {
    const { response, answer } = await send(method, path, body, version);
    if (response.ok && answer?.success) return { data: answer.data, meta: answer.meta, version: response.headers.get("etag") };
    const wait = Number(response.headers.get("retry-after")) || null;
    if (method === "GET" && (response.status === 429 || response.status === 503) && attempt < 4) {
      await new Promise((resume) => setTimeout(resume, Math.min(wait ?? 1, 20) * 1000 + Math.random() * 500));
      continue;
    }
    if (response.status === 401) for (const listener of listeners) listener();
    const error = answer?.error;
    throw error
      ? new Fault(response.status, error.code, sentence(error.message), error.details, wait)
      : new Fault(response.status, "UNREACHABLE", `Something before the Hub answered with ${response.status}.`, [], wait);
  }
}

export const get = (path, query) => call("GET", query ? `${path}?${new URLSearchParams(query)}` : path);
export const post = (path, body) => call("POST", path, body);
export const patch = (path, body, version) => call("PATCH", path, body, version);
export const remove = (path, version) => call("DELETE", path, undefined, version);

/** All pages of a list, up to a bound; answers `{data, total}`. */
export async function all(path, query = {}, most = 1000) {
  const data = [];
  for (let page = 1; ; page += 1) {
    const answer = await get(path, { ...query, page, pageSize: 100 });
    data.push(...answer.data);
    if (data.length >= Math.min(answer.meta.total, most) || answer.data.length === 0) return { data, total: answer.meta.total };
  }
}

/** The sign-in routes speak next-auth's language: no envelope. */
export const plain = async (method, path, body) => {
  const { response, answer } = await send(method, path, body);
  return { status: response.status, answer, retryAfterSeconds: Number(response.headers.get("retry-after")) || null };
};

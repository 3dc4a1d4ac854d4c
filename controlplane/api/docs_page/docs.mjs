// The documentation page: reads the OpenAPI document and shows it. No library, nothing loaded from elsewhere.

const METHODS = ["get", "post", "put", "patch", "delete"];
const DEEPEST = 6;

/** Make an element: attributes by name, `text` for its text, then children (text or nodes). Never reads HTML. */
function make(name, attributes = {}, ...children) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (value === undefined || value === false) continue;
    if (key === "text") element.textContent = value;
    else element.setAttribute(key, value === true ? "" : value);
  }
  element.append(...children.flat().filter((child) => child !== null && child !== undefined));
  return element;
}

/** Text with `code` between backticks. */
function prose(text) {
  return String(text ?? "").split("`").map((part, index) => (index % 2 ? make("code", { text: part }) : part));
}

class Document {
  constructor(json) {
    this.json = json;
    this.schemas = json.components?.schemas ?? {};
    this.security = json.components?.securitySchemes ?? {};
    this.operations = [];
    for (const [path, item] of Object.entries(json.paths)) {
      for (const method of METHODS) {
        if (item[method]) this.operations.push({ path, method, ...item[method] });
      }
    }
  }

  get tags() {
    const named = (this.json.tags ?? []).map((tag) => tag.name);
    const used = this.operations.map((operation) => operation.tags?.[0] ?? "Other");
    return [...new Set([...named, ...used])].filter((tag) => used.includes(tag));
  }

  resolve(schema) {
    const name = schema?.$ref?.split("/").pop();
    return name ? { name, schema: this.schemas[name] ?? {} } : { name: null, schema: schema ?? {} };
  }
}

/** A schema's type in a few words. */
function typeName(doc, given) {
  const { name, schema } = doc.resolve(given);
  if (schema.enum) return name ?? "one of";
  if (name) return name;
  if (schema.const !== undefined) return JSON.stringify(schema.const);
  if (schema.anyOf) return schema.anyOf.map((one) => typeName(doc, one)).join(" | ");
  if (schema.type === "array") return `${typeName(doc, schema.items ?? {})}[]`;
  if (schema.type === "object" && typeof schema.additionalProperties === "object") {
    return `map of ${typeName(doc, schema.additionalProperties)}`;
  }
  if (Array.isArray(schema.type)) return schema.type.join(" | ");
  return schema.format ? `${schema.type} (${schema.format})` : (schema.type ?? "anything");
}

/** Bounds, default and choices in words. */
function limits(doc, given) {
  const { schema } = doc.resolve(given);
  const parts = [];
  const plain = (value) => Number.isFinite(value) && Math.abs(value) < 2 ** 53;
  if (schema.enum) parts.push(schema.enum.map((value) => JSON.stringify(value)).join(", "));
  if (plain(schema.minimum)) parts.push(`≥ ${schema.minimum}`);
  if (plain(schema.maximum)) parts.push(`≤ ${schema.maximum}`);
  if (schema.minLength !== undefined) parts.push(`≥ ${schema.minLength} characters`);
  if (schema.maxLength !== undefined) parts.push(`≤ ${schema.maxLength} characters`);
  if (schema.minItems !== undefined) parts.push(`≥ ${schema.minItems} items`);
  if (schema.maxItems !== undefined) parts.push(`≤ ${schema.maxItems} items`);
  if (schema.pattern) parts.push(`matches ${schema.pattern}`);
  if (schema.default !== undefined) parts.push(`default ${JSON.stringify(schema.default)}`);
  for (const one of schema.anyOf ?? []) if (one.type !== "null") parts.push(limits(doc, one));
  return parts.filter(Boolean).join(" · ");
}

/** The object schemas inside a type, reached through lists, maps and unions. */
function objectsIn(doc, given) {
  const { schema } = doc.resolve(given);
  if (schema.properties) return [given];
  const inner = [...(schema.anyOf ?? []), ...(schema.allOf ?? [])];
  if (schema.items) inner.push(schema.items);
  if (typeof schema.additionalProperties === "object") inner.push(schema.additionalProperties);
  return inner.flatMap((one) => objectsIn(doc, one));
}

/** A type as a table of fields; those that hold objects open on demand. `asked`: the caller must send what is required. */
function fields(doc, given, asked, depth = 0) {
  const { schema } = doc.resolve(given);
  if (!schema.properties) {
    const line = make("p", { class: "type" }, make("code", { text: typeName(doc, given) }), ` ${limits(doc, given)}`);
    const inner = depth < DEEPEST ? objectsIn(doc, given).map((one) => fields(doc, one, asked, depth + 1)) : [];
    return make("div", {}, line, inner);
  }
  const list = make("dl", { class: "fields" });
  for (const [name, field] of Object.entries(schema.properties)) {
    const required = asked && (schema.required ?? []).includes(name);
    const described = doc.resolve(field).schema;
    const inner = depth < DEEPEST ? objectsIn(doc, field) : [];
    list.append(
      make("dt", {}, make("code", { text: name }), required ? make("span", { class: "required", text: "required" }) : null),
      make("dd", {},
        make("span", { class: "type", text: typeName(doc, field) }),
        make("span", { class: "limits", text: limits(doc, field) }),
        field.description ? make("p", {}, prose(field.description)) : null,
        inner.map((one) => later(typeName(doc, one), () => fields(doc, one, asked, depth + 1)))),
    );
  }
  return list;
}

/** A part that is built when it is opened: types may hold themselves. */
function later(title, build) {
  const details = make("details", { class: "inner" }, make("summary", { text: title }));
  details.addEventListener("toggle", () => {
    if (details.open && details.childElementCount === 1) details.append(build());
  });
  return details;
}

/** An example value of a type. */
function example(doc, given, depth = 0) {
  const { schema } = doc.resolve(given);
  if (schema.examples?.length) return schema.examples[0];
  if (schema.const !== undefined) return schema.const;
  if (schema.enum) return schema.enum[0];
  if (schema.default !== undefined && schema.default !== null) return schema.default;
  if (schema.anyOf) return example(doc, schema.anyOf.find((one) => one.type !== "null") ?? {}, depth);
  if (schema.properties) {
    if (depth > 3) return {};
    const names = Object.keys(schema.properties).filter((name) => (schema.required ?? []).includes(name));
    return Object.fromEntries(names.map((name) => [name, example(doc, schema.properties[name], depth + 1)]));
  }
  switch (schema.type) {
    case "array": return depth > 3 ? [] : [example(doc, schema.items ?? {}, depth + 1)];
    case "object": return {};
    case "integer": case "number": return Math.max(0, schema.minimum > -1e15 ? schema.minimum : 0);
    case "boolean": return true;
    case "string": return schema.format === "date-time" ? "2026-03-15T10:00:00Z" : "…";
    default: return {};
  }
}

const quoted = (text) => `'${text.replaceAll("'", "'\\''")}'`;

/** The request as a command line. */
function curl(doc, operation) {
  const parts = ["curl"];
  if (operation.method !== "get") parts.push(`-X ${operation.method.toUpperCase()}`);
  const bearer = (operation.security ?? []).flatMap((way) => Object.keys(way))
    .find((name) => doc.security[name]?.scheme === "bearer");
  if (bearer) parts.push('-H "Authorization: Bearer $TOKEN"');
  const content = operation.requestBody?.content ?? {};
  if (content["application/json"]) {
    parts.push("-H 'Content-Type: application/json'");
    parts.push(`-d ${quoted(JSON.stringify(example(doc, content["application/json"].schema)))}`);
  } else if (content["application/x-www-form-urlencoded"]) {
    const values = example(doc, content["application/x-www-form-urlencoded"].schema);
    for (const [name, value] of Object.entries(values)) parts.push(`--data-urlencode ${quoted(`${name}=${value}`)}`);
  }
  parts.push(quoted(`${doc.json.servers?.[0]?.url ?? ""}${operation.path}`));
  return parts.join(" \\\n  ");
}

function copyable(text) {
  const button = make("button", { type: "button", class: "copy", text: "Copy" });
  button.addEventListener("click", async () => {
    try {
      await navigator.clipboard.writeText(text);
      button.textContent = "Copied";
    } catch {
      getSelection().selectAllChildren(button.nextElementSibling);
      button.textContent = "Selected: press Ctrl C";
    }
    setTimeout(() => { button.textContent = "Copy"; }, 2000);
  });
  return make("div", { class: "copyable" }, button, make("pre", { tabindex: "0" }, make("code", { text })));
}

function parameters(doc, operation) {
  if (!operation.parameters?.length) return [];
  const list = make("dl", { class: "fields" });
  for (const parameter of operation.parameters) {
    list.append(
      make("dt", {}, make("code", { text: parameter.name }), make("span", { class: "where", text: parameter.in }),
        parameter.required ? make("span", { class: "required", text: "required" }) : null),
      make("dd", {},
        make("span", { class: "type", text: typeName(doc, parameter.schema) }),
        make("span", { class: "limits", text: limits(doc, parameter.schema) }),
        parameter.description ? make("p", {}, prose(parameter.description)) : null),
    );
  }
  return [make("h4", { text: "Parameters" }), list];
}

function body(doc, operation) {
  const content = Object.entries(operation.requestBody?.content ?? {});
  return content.flatMap(([mediaType, { schema }]) => [
    make("h4", {}, "Body ", make("span", { class: "note", text: `${mediaType}${operation.requestBody.required ? "" : ", optional"}` })),
    fields(doc, schema, true),
  ]);
}

function answers(doc, operation) {
  const parts = [];
  const refusals = make("dl", { class: "fields refusals" });
  for (const [status, response] of Object.entries(operation.responses)) {
    if (Number(status) < 400) {
      const schema = response.content?.["application/json"]?.schema;
      const enveloped = schema?.properties?.success !== undefined;
      const note = enveloped ? `${status}, in the envelope's data` : status;
      parts.push(make("h4", {}, "Answer ", make("span", { class: "note", text: note })));
      if (schema) parts.push(fields(doc, enveloped ? schema.properties.data : schema, false));
    } else {
      for (const line of response.description.split("\n")) {
        const [code, ...words] = line.split(": ");
        refusals.append(make("dt", {}, make("code", { text: code }), make("span", { class: "where", text: status })),
          make("dd", {}, prose(words.join(": "))));
      }
    }
  }
  if (refusals.childElementCount) parts.push(make("h4", { text: "Refusals" }), refusals);
  return parts;
}

function access(doc, operation) {
  const ways = (operation.security ?? []).map((way) => Object.keys(way).join(" and "));
  return ways.length ? `Needs ${ways.join(" or ")}.` : "Open to everybody.";
}

function endpoint(doc, operation) {
  const details = make("details", { class: "endpoint", id: operation.operationId },
    make("summary", {},
      make("span", { class: `method ${operation.method}`, text: operation.method.toUpperCase() }),
      make("span", { class: "path" }, operation.path.split(/(?=\/)/).flatMap((part) => [make("wbr"), part])),
      make("span", { class: "what" }, prose(operation.summary))));
  details.addEventListener("toggle", () => {
    if (!details.open || details.childElementCount > 1) return;
    details.append(make("div", { class: "inside" },
      operation.description ? make("p", {}, prose(operation.description)) : null,
      make("p", { class: "access", text: access(doc, operation) }),
      parameters(doc, operation), body(doc, operation), answers(doc, operation),
      make("h4", { text: "On the command line" }), copyable(curl(doc, operation))));
  });
  return details;
}

function show(doc) {
  const content = document.getElementById("content");
  const contents = document.getElementById("contents");
  document.getElementById("facts").append(
    `OpenAPI ${doc.json.openapi} · ${doc.operations.length} operations · `,
    make("a", { href: "/api/openapi.json", text: "the document" }));
  const links = make("ul");
  content.replaceChildren(make("p", { class: "introduction" }, prose(doc.json.info.description)));
  for (const tag of doc.tags) {
    const id = `tag-${tag.toLowerCase().replace(/\W+/g, "-")}`;
    const own = doc.operations.filter((operation) => (operation.tags?.[0] ?? "Other") === tag);
    content.append(make("section", { "aria-labelledby": id },
      make("h2", { id, text: tag }), own.map((operation) => endpoint(doc, operation))));
    links.append(make("li", {}, make("a", { href: `#${id}` }, tag, make("span", { class: "count", text: ` ${own.length}` }))));
  }
  contents.replaceChildren(links);
}

function search(doc, text) {
  const words = text.toLowerCase().split(/\s+/).filter(Boolean);
  const matching = new Set(doc.operations.filter((operation) => {
    const said = [operation.method, operation.path, operation.summary, operation.description, operation.operationId,
      ...(operation.tags ?? [])].join(" ").toLowerCase();
    return words.every((word) => said.includes(word));
  }).map((operation) => operation.operationId));
  for (const element of document.querySelectorAll(".endpoint")) element.hidden = !matching.has(element.id);
  for (const section of document.querySelectorAll("main > section")) {
    section.hidden = !section.querySelector(".endpoint:not([hidden])");
  }
  document.getElementById("found").textContent = words.length ? `${matching.size} of ${doc.operations.length} match` : "";
}

function openNamed() {
  const named = document.getElementById(decodeURIComponent(location.hash.slice(1)));
  if (named?.matches("details")) {
    named.open = true;
    named.scrollIntoView();
  }
}

async function start() {
  const content = document.getElementById("content");
  content.replaceChildren(make("p", { text: "Loading …" }));
  try {
    const response = await fetch("/api/openapi.json");
    if (!response.ok) throw new Error(`the server answered ${response.status}`);
    const doc = new Document(await response.json());
    show(doc);
    const field = document.getElementById("search");
    field.addEventListener("input", () => search(doc, field.value));
    if (field.value) search(doc, field.value);
    content.addEventListener("toggle", (event) => {
      if (event.target.matches(".endpoint") && event.target.open) history.replaceState(null, "", `#${event.target.id}`);
    }, true);
    addEventListener("hashchange", openNamed);
    addEventListener("keydown", (event) => {
      if (event.key === "/" && !event.ctrlKey && !event.metaKey && event.target.tagName !== "INPUT") {
        event.preventDefault();
        field.focus();
      }
    });
    openNamed();
  } catch (error) {
    content.replaceChildren(make("p", { role: "alert", text: `The OpenAPI document could not be loaded: ${error.message}` }));
  }
}

start();

// The description of the API, for people. Everything is put in as text.
"use strict";

function make(name, text, kind) {
  const element = document.createElement(name);
  if (text !== undefined) element.textContent = text;
  if (kind) element.className = kind;
  return element;
}

// A schema in a few words: `[Finding]`, `"halt" | "resume"`, `string?`.
function words(schema, all, depth = 0) {
  if (schema === true || schema === undefined || Object.keys(schema).length === 0) return "any JSON";
  if (schema.$ref) {
    const name = schema.$ref.split("/").pop();
    return depth > 2 ? name : words(all[name], all, depth) || name;
  }
  if (schema.enum) return schema.enum.map((one) => JSON.stringify(one)).join(" | ");
  if (schema.const !== undefined) return JSON.stringify(schema.const);
  const either = schema.anyOf || schema.oneOf;
  if (either) return [...new Set(either.map((one) => words(one, all, depth)))].join(" | ");
  if (Array.isArray(schema.type)) return schema.type.join(" | ");
  if (schema.type === "array") return `[${words(schema.items, all, depth + 1)}]`;
  if (schema.properties && depth < 3) {
    const required = new Set(schema.required || []);
    const pad = "  ".repeat(depth + 1);
    const lines = Object.entries(schema.properties).map(([name, of]) => {
      const note = of.description ? `  // ${of.description.split("\n")[0]}` : "";
      return `${pad}${name}${required.has(name) ? "" : "?"}: ${words(of, all, depth + 1)}${note}`;
    });
    return `{\n${lines.join("\n")}\n${"  ".repeat(depth)}}`;
  }
  return schema.format ? `${schema.type} (${schema.format})` : schema.type || "any JSON";
}

function table(head, rows) {
  const made = make("table");
  const first = made.createTHead().insertRow();
  head.forEach((text) => first.append(make("th", text)));
  const body = made.createTBody();
  rows.forEach((row) => { const line = body.insertRow(); row.forEach((text) => { line.insertCell().textContent = text; }); });
  return made;
}

function route(path, method, operation, all) {
  const details = make("details");
  const summary = make("summary");
  summary.append(make("span", method.toUpperCase(), "method"), make("span", path, "path"), make("span", operation.summary, "what"));
  const body = make("div", undefined, "body");
  body.append(make("p", operation.description || "Needs no token."));
  if (operation.parameters) {
    body.append(table(["parameter", "in", "what"], operation.parameters.map((one) => [one.name, one.in, words(one.schema, all, 3)])));
  }
  const asked = operation.requestBody && operation.requestBody.content["application/json"];
  if (asked) body.append(make("h3", "Body"), make("pre", words(asked.schema, all)));
  for (const [status, answer] of Object.entries(operation.responses)) {
    if (status >= 400 && status !== "404") continue;
    const [kind, content] = Object.entries(answer.content || {})[0] || ["", {}];
    body.append(make("h3", `${status} ${kind}`));
    if (content.schema) body.append(make("pre", words(content.schema, all)));
  }
  const errors = Object.keys(operation.responses).filter((status) => status >= 400);
  body.append(make("p", `Errors: ${errors.join(", ")}, as {"error":{"code","message"}}.`));
  details.append(summary, body);
  return details;
}

async function show() {
  const main = document.getElementById("routes");
  try {
    const description = await (await fetch("/openapi.json")).json();
    document.getElementById("about").textContent = `${description.info.description} Version ${description.info.version}.`;
    const all = description.components.schemas;
    const made = Object.entries(description.paths).flatMap(([path, item]) =>
      Object.entries(item).map(([method, operation]) => route(path, method, operation, all)));
    main.replaceChildren(...made);
  } catch (error) {
    main.textContent = `The description cannot be read: ${error}`;
  }
}

show();

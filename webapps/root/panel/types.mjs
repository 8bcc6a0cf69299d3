// Makes src/generated/openapi.ts, the types of REST, from schemas/openapi.json. Only what that document uses of JSON
// Schema is known here; anything else is an error, not an `unknown`.

import { mkdirSync, readFileSync, writeFileSync } from "node:fs";

const here = (path) => new URL(path, import.meta.url);
const document = JSON.parse(readFileSync(here("../../../schemas/openapi.json"), "utf8"));

function typeOf(schema, indent) {
  if (schema.$ref !== undefined) return schema.$ref.slice("#/components/schemas/".length);
  if (schema.allOf !== undefined) return schema.allOf.map((part) => typeOf(part, indent)).join(" & ");
  if (schema.oneOf !== undefined || schema.anyOf !== undefined) {
    return (schema.oneOf ?? schema.anyOf).map((part) => typeOf(part, indent)).join(" | ");
  }
  if (schema.enum !== undefined) return schema.enum.map((value) => JSON.stringify(value)).join(" | ");
  if (Array.isArray(schema.type)) {
    return schema.type.map((type) => typeOf({ ...schema, type }, indent)).join(" | ");
  }
  switch (schema.type) {
    case "null":
      return "null";
    case "boolean":
      return "boolean";
    case "integer":
    case "number":
      return "number";
    case "string":
      return "string";
    case "array":
      return `(${typeOf(schema.items, indent)})[]`;
    case "object":
      return objectOf(schema, indent);
    case undefined:
      return "unknown";
    default:
      throw new Error(`openapi.json: no type of TypeScript for ${JSON.stringify(schema)}`);
  }
}

function objectOf(schema, indent) {
  const inner = `${indent}  `;
  const { properties = {}, required = [], additionalProperties } = schema;
  const lines = Object.entries(properties).map(([name, property]) => {
    const comment = property.description ? `${inner}/** ${property.description.replaceAll("*/", "").replaceAll("\n", " ")} */\n` : "";
    return `${comment}${inner}${JSON.stringify(name)}${required.includes(name) ? "" : "?"}: ${typeOf(property, inner)};\n`;
  });
  if (typeof additionalProperties === "object") lines.push(`${inner}[key: string]: ${typeOf(additionalProperties, inner)};\n`);
  return lines.length === 0 ? "Record<string, unknown>" : `{\n${lines.join("")}${indent}}`;
}

const types = Object.entries(document.components.schemas).map(
  ([name, schema]) => `export type ${name} = ${typeOf(schema, "")};\n`,
);
const routes = Object.entries(document.paths).flatMap(([path, verbs]) =>
  Object.keys(verbs).map((verb) => JSON.stringify(`${verb.toUpperCase()} ${path}`)),
);
mkdirSync(here("src/generated"), { recursive: true });
writeFileSync(
  here("src/generated/openapi.ts"),
  `// Made by types.mjs from schemas/openapi.json.\n\n${types.join("\n")}\n/** Every route this description has. */\nexport type Route =\n  | ${routes.join("\n  | ")};\n`,
);

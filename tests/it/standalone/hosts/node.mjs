// node.mjs SCRIPT: imports the script beside it, runs the cases, writes answers.json.
import { readFile, writeFile } from "node:fs/promises";
import { answer } from "./cases.mjs";

const here = (name) => new URL(name, import.meta.url);
const { run } = await import(here(process.argv[2]));
const cases = JSON.parse(await readFile(here("cases.json"), "utf8"));
await writeFile(here("answers.json"), JSON.stringify(answer(run, cases)));

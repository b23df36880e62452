// Answers the conformance suite's rows in a browser, `chromium`, `firefox` or `webkit`: one question a line on standard input, one answer
// a line on standard output. The page fetches the questions, so nothing has to drive the browser, which may be any.
//
//   {"open": {"bundle": NAME, "key": PEM, "webgpu": BOOL}}      {"session": NUMBER, "engine": NAME}
//   {"run": {"session": NUMBER, "inputs": TENSORS}}             {"outputs": TENSORS}
//   {"close": {"session": NUMBER}}                              {}
//
// or {"error": TEXT}. Bundles lie among the fixtures; tensors are `{name: {type, dims, base64}}`.
import { createInterface } from "node:readline";
import { show } from "./harness/programs.mjs";
import { serve } from "./harness/server.mjs";

const [browser] = process.argv.slice(2);

/** Questions that wait for the page, and the page that waits for one. */
const questions = [];
let waiting = null;

/** Longest that a browser may take to show the page. */
const START_MS = 120_000;

const server = await serve({}, { answers });
const late = setTimeout(() => fail(`did not ask for a question within ${START_MS / 1000} s`), START_MS);
const end = await show(browser, `${server.origin}/harness/asked.html`, () => fail("ended by itself"));
for await (const line of createInterface({ input: process.stdin })) {
  questions.push(line);
  offer();
}
await end();
await server.close();

function answers(request, response) {
  if (request.url === "/question") {
    clearTimeout(late);
    waiting = response;
    offer();
    return true;
  }
  if (request.url !== "/answer") return false;
  const pieces = [];
  request.on("data", (piece) => pieces.push(piece));
  request.on("end", () => {
    console.log(Buffer.concat(pieces).toString());
    response.writeHead(204).end();
  });
  return true;
}

function offer() {
  if (waiting === null || questions.length === 0) return;
  waiting.writeHead(200, { "content-type": "application/json" }).end(questions.shift());
  waiting = null;
}

async function fail(what) {
  console.error(`${browser}: the browser ${what}`);
  await end();
  process.exit(1);
}

// The server of the demo and of the bench.

import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { request } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { POLICY, serve } from "../../../xtask/web/serve.mjs";

let folder, server;
before(async () => {
  folder = mkdtempSync(join(tmpdir(), "pannier-server-"));
  mkdirSync(join(folder, "site/inner"), { recursive: true });
  writeFileSync(join(folder, "secret.txt"), "secret");
  writeFileSync(join(folder, "site/ten.js"), "0123456789");
  writeFileSync(join(folder, "site/ten.js.br"), "in brotli");
  writeFileSync(join(folder, "site/inner/index.html"), "inner");
  writeFileSync(join(folder, "site/empty.css"), "");
  server = await serve(join(folder, "site"));
});
after(async () => {
  await server?.close();
  rmSync(folder, { recursive: true });
});

/** Sends the path as it is: `fetch` would tidy it up. */
function ask(path, headers = {}, method = "GET") {
  return new Promise((resolve, reject) => {
    const asked = request(new URL(server.url).origin, { path, headers, method }, (response) => {
      const { statusCode: status, headers } = response;
      let body = "";
      response.setEncoding("utf8").on("data", (piece) => (body += piece)).on("end", () => resolve({ status, headers, body }));
    });
    asked.on("error", reject).end();
  });
}

test("files, parts of them, and nothing else", async () => {
  const cases = [
    ["/ten.js", {}, 200, "0123456789"],
    ["/ten.js?query", {}, 200, "0123456789"],
    ["/inner/", {}, 200, "inner"],
    ["/empty.css", {}, 200, ""],
    ["/inner", {}, 404, ""],
    ["/absent", {}, 404, ""],
    ["/../secret.txt", {}, 404, ""],
    ["/..%2fsecret.txt", {}, 404, ""],
    ["/inner/..%2f..%2f..%2fsecret.txt", {}, 404, ""],
    ["//secret.txt", {}, 404, ""],
    ["/%00", {}, 404, ""],
    ["/%ff", {}, 404, ""],
    ["/ten.js", { range: "bytes=2-4" }, 206, "234"],
    ["/ten.js", { range: "bytes=7-" }, 206, "789"],
    ["/ten.js", { range: "bytes=-3" }, 206, "789"],
    ["/ten.js", { range: "bytes=8-99" }, 206, "89"],
    ["/ten.js", { range: "bytes=10-" }, 416, ""],
    ["/ten.js", { range: "bytes=4-2" }, 416, ""],
    ["/ten.js", { range: "lines=1-2" }, 200, "0123456789"],
    ["/ten.js", { range: "bytes=2-4", "if-range": '"another"' }, 200, "0123456789"],
    ["/ten.js", { "accept-encoding": "gzip, br" }, 200, "in brotli"],
    ["/inner/", { "accept-encoding": "gzip, br" }, 200, "inner"],
  ];
  for (const [path, headers, status, body] of cases) {
    const answer = await ask(path, headers);
    assert.deepEqual([answer.status, answer.body], [status, body], `${path} ${JSON.stringify(headers)}`);
  }
});

test("headers say what it is, which version, and what the page may do", async () => {
  const { headers } = await ask("/ten.js", { range: "bytes=2-4" });
  assert.equal(headers["content-range"], "bytes 2-4/10");
  assert.equal(headers["content-type"], "text/javascript; charset=utf-8");
  assert.match(headers["content-security-policy"], /default-src 'self'; script-src 'self' 'wasm-unsafe-eval'/);
  assert.equal((await ask("/ten.js", { "if-none-match": headers.etag })).status, 304);
  assert.equal((await ask("/ten.js", { range: "bytes=2-4", "if-range": headers.etag })).status, 206);
  const compressed = await ask("/ten.js", { "accept-encoding": "br" });
  assert.equal(compressed.headers["content-encoding"], "br");
  assert.notEqual(compressed.headers.etag, headers.etag, "one version, two files");
  assert.equal((await ask("/ten.js", {}, "POST")).status, 405);
  const head = await ask("/ten.js", {}, "HEAD");
  assert.deepEqual([head.status, head.body, head.headers["content-length"]], [200, "", "10"]);
});

test("the page forbids itself the same, for servers that send no policy", () => {
  const page = readFileSync(new URL("../../../wasm/web/demo/index.html", import.meta.url), "utf8");
  const [, own] = /http-equiv="Content-Security-Policy"\s+content="([^"]*)"/.exec(page);
  // This one counts in a header only.
  assert.equal(`${own}; frame-ancestors 'none'`, POLICY);
});

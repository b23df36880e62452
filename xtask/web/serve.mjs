// serve.mjs FOLDER [PORT]: serves a folder on this machine alone, the way that a site with workers and WebAssembly wants to be
// served. Tests import `serve`.

import { createReadStream } from "node:fs";
import { stat } from "node:fs/promises";
import { createServer } from "node:http";
import { extname, join, normalize, resolve } from "node:path";
import { pathToFileURL } from "node:url";

const TYPES = {
  ".css": "text/css; charset=utf-8",
  ".html": "text/html; charset=utf-8",
  ".ico": "image/x-icon",
  ".js": "text/javascript; charset=utf-8",
  ".json": "application/json",
  ".mjs": "text/javascript; charset=utf-8",
  ".onnx": "application/octet-stream",
  ".pannier": "application/octet-stream",
  ".png": "image/png",
  ".svg": "image/svg+xml",
  ".wasm": "application/wasm",
  ".wav": "audio/wav",
  ".webmanifest": "application/manifest+json",
};

/** Scripts of this origin alone, and WebAssembly; pictures and sounds that the page itself made. */
export const POLICY = [
  "default-src 'self'",
  "script-src 'self' 'wasm-unsafe-eval'",
  "img-src 'self' blob:",
  "media-src 'self' blob:",
  "object-src 'none'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join("; ");

const HEADERS = {
  "content-security-policy": POLICY,
  // With these two a page is isolated from others: it may measure its memory.
  "cross-origin-opener-policy": "same-origin",
  "cross-origin-embedder-policy": "require-corp",
  "permissions-policy": "camera=(self), microphone=(self), geolocation=()",
  "referrer-policy": "no-referrer",
  "x-content-type-options": "nosniff",
};

/** Kept, but asked about each time: what is built anew is seen at once. */
const ASK_EACH_TIME = "no-cache";

/**
 * Serves a folder until `close` is called. A file `NAME.br` beside `NAME` is the same in brotli, and sent to whoever takes that.
 *
 * @param {string} folder
 * @param {{ port?: number, cacheControl?: string }} [options] port 0 is one that is free
 * @returns {Promise<{ url: string, close: () => Promise<void> }>}
 */
export async function serve(folder, { port = 0, cacheControl = ASK_EACH_TIME } = {}) {
  const root = resolve(folder);
  const common = { ...HEADERS, "cache-control": cacheControl };
  const server = createServer((request, response) => {
    answer(root, request, response, common).catch(() => response.destroy());
  });
  await new Promise((listening, failed) => {
    server.once("error", failed);
    server.listen(port, "127.0.0.1", listening);
  });
  const close = () => {
    server.closeAllConnections();
    return new Promise((closed) => server.close(closed));
  };
  return { url: `http://localhost:${server.address().port}/`, close };
}

async function answer(root, request, response, common) {
  const end = (status, headers = {}) => response.writeHead(status, { ...common, ...headers }).end();
  if (request.method !== "GET" && request.method !== "HEAD") return end(405, { allow: "GET, HEAD" });
  const plain = await find(root, request.url);
  if (plain === null) return end(404);
  const file = (/\bbr\b/.test(request.headers["accept-encoding"]) && (await inBrotli(plain))) || plain;
  const etag = `"${file.size.toString(16)}-${Math.trunc(file.mtimeMs).toString(16)}"`;
  const headers = { "content-type": TYPES[extname(plain.path)] ?? "text/plain; charset=utf-8", etag, "accept-ranges": "bytes" };
  if (file !== plain) Object.assign(headers, { "content-encoding": "br", vary: "accept-encoding" });
  if (request.headers["if-none-match"] === etag) return end(304, headers);
  const range = part(request.headers, etag, file.size);
  if (range === null) return end(416, { "content-range": `bytes */${file.size}` });
  headers["content-length"] = range.end - range.start;
  if (range.isPart) headers["content-range"] = `bytes ${range.start}-${range.end - 1}/${file.size}`;
  response.writeHead(range.isPart ? 206 : 200, { ...common, ...headers });
  if (request.method === "HEAD" || range.start === range.end) return response.end();
  createReadStream(file.path, { start: range.start, end: range.end - 1 })
    .on("error", () => response.destroy())
    .pipe(response);
}

/** The file that an address names, or `null`: nothing outside of the folder has an address. */
async function find(root, address) {
  let path;
  try {
    path = decodeURIComponent(new URL(address, "http://localhost").pathname);
  } catch {
    return null;
  }
  if (path.includes("\0")) return null;
  return look(join(root, normalize(path), path.endsWith("/") ? "index.html" : ""));
}

function inBrotli({ path }) {
  return look(`${path}.br`);
}

async function look(path) {
  const found = await stat(path).catch(() => null);
  return found?.isFile() ? { path, size: found.size, mtimeMs: found.mtimeMs } : null;
}

/** The bytes that are asked for: the whole file, one part of it, or `null` where there is no such part. */
function part({ range, "if-range": ifRange }, etag, size) {
  const whole = { start: 0, end: size, isPart: false };
  const [, first, last] = /^bytes=(\d*)-(\d*)$/.exec(range ?? "") ?? [];
  if (first === undefined || (first === "" && last === "") || (ifRange !== undefined && ifRange !== etag)) return whole;
  const start = first === "" ? Math.max(0, size - Number(last)) : Number(first);
  const end = first === "" || last === "" ? size : Math.min(size, Number(last) + 1);
  return start < end ? { start, end, isPart: true } : null;
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? "").href) {
  const [folder, port = "0"] = process.argv.slice(2);
  if (folder === undefined) throw new Error("usage: serve.mjs FOLDER [PORT]");
  const { url } = await serve(folder, { port: Number(port) });
  console.log(url);
}

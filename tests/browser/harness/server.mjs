// A server with faults, chosen by the query of each request:
//
//   slow=N       sends N bytes a second
//   cut=N        breaks the connection after N bytes of the body, as often as `cuts` says (once)
//   ranges=off   sends the whole file whatever part is asked for
//   version=new  answers requests for a part as if the file had changed meanwhile
//   swap=1       answers the first request for a part with bytes of another file
//   tamper=N     flips a bit of byte N
//   truncate=N   has only the first N bytes
//   type=T       says that the file is of another type
//   status=N     answers so, as often as `times` says (always)
//   page=1       answers with an HTML page
import { createServer } from "node:http";
import { readFile } from "node:fs/promises";
import { extname, join, normalize } from "node:path";
import { FIXTURES, PACKAGE } from "./setting.mjs";

const TYPES = { ".html": "text/html", ".js": "text/javascript", ".mjs": "text/javascript", ".wasm": "application/wasm", ".json": "application/json" };
const strict = (connect) => `default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; connect-src 'self' ${connect}; worker-src 'self'`;
const PAGE = "<!doctype html><meta charset=utf-8><title>A test</title>";
const PIECE_BYTES = 16 * 1024;

/**
 * Serves the npm package under `/npm/`, the fixtures under `/fixtures/`, an empty page under `/`, and further folders.
 * Every answer forbids whatever the package does not need; `connect` names what pages may connect to beside this server. What
 * `answers(request, response)` says yes to, it answers itself.
 */
export async function serve(folders = {}, { connect = "", answers = () => false } = {}) {
  const roots = { "/npm/": PACKAGE, "/fixtures/": FIXTURES, "/harness/": import.meta.dirname, ...folders };
  const log = [];
  const counts = new Map();
  const server = createServer((request, response) => {
    if (answers(request, response)) return;
    answer(request, response, { roots, log, counts, policy: strict(connect) }).catch((error) => {
      response.destroy();
      log.push({ path: request.url, error: String(error) });
    });
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  const origin = `http://127.0.0.1:${server.address().port}`;
  return {
    origin,
    /** Every request so far: `path`, `query`, `range`, `ifRange`, `status`, and how many bytes of the body were sent. */
    log,
    requests: (path) => log.filter((entry) => entry.path === path),
    close: () => {
      server.closeAllConnections();
      return new Promise((resolve) => server.close(resolve));
    },
  };
}

async function answer(request, response, { roots, log, counts, policy }) {
  const url = new URL(request.url, "http://localhost");
  const query = url.searchParams;
  const { range, "if-range": ifRange } = request.headers;
  const entry = { path: url.pathname, query: url.search, range, ifRange, status: 200, sentBytes: 0, isClosed: false };
  log.push(entry);
  response.on("close", () => (entry.isClosed = true));
  const often = (what) => {
    const key = `${what} ${request.url}`;
    counts.set(key, (counts.get(key) ?? 0) + 1);
    return counts.get(key);
  };

  const begin = (status, headers) => {
    entry.status = status;
    response.writeHead(status, { "content-security-policy": policy, "cache-control": "no-store", ...headers });
  };
  const status = Number(query.get("status") ?? 200);
  if (status !== 200 && often("status") <= Number(query.get("times") ?? Infinity)) {
    begin(status, { "content-type": "text/plain" });
    return response.end("no");
  }
  if (url.pathname === "/" || query.has("page")) {
    begin(200, { "content-type": "text/html" });
    return response.end(PAGE);
  }
  const file = await read(url.pathname, roots);
  if (file === null) {
    begin(404, { "content-type": "text/html" });
    return response.end(PAGE);
  }
  let body = query.has("truncate") ? file.subarray(0, Number(query.get("truncate"))) : file;
  if (query.has("tamper")) {
    body = Buffer.from(body);
    body[Number(query.get("tamper"))] ^= 1;
  }
  const type = query.get("type") ?? TYPES[extname(url.pathname)] ?? "application/octet-stream";
  const etag = `"${query.get("version") === "new" && often("version") > 1 ? "new" : "old"}"`;
  const headers = { "content-type": type, etag };
  const asked = /^bytes=(\d+)-$/.exec(range ?? "");
  const isPart = asked !== null && query.get("ranges") !== "off" && (ifRange === undefined || ifRange === etag);
  const start = isPart ? Number(asked[1]) : 0;
  if (isPart) headers["content-range"] = `bytes ${start}-${body.length - 1}/${body.length}`;
  const part = isPart && query.has("swap") && often("swap") === 1 ? Buffer.alloc(body.length - start) : body.subarray(start);
  begin(isPart ? 206 : 200, { ...headers, "content-length": part.length });
  const cut = query.has("cut") && often("cut") <= Number(query.get("cuts") ?? 1) ? Number(query.get("cut")) : Infinity;
  await send(part, { response, entry, cut, bytesPerSecond: Number(query.get("slow") ?? Infinity) });
}

async function read(path, roots) {
  const root = Object.keys(roots).find((prefix) => path.startsWith(prefix));
  if (root === undefined) return null;
  try {
    return await readFile(join(roots[root], normalize(`/${path.slice(root.length)}`)));
  } catch {
    return null;
  }
}

async function send(body, { response, entry, cut, bytesPerSecond }) {
  for (let at = 0; at < body.length && !entry.isClosed; at += PIECE_BYTES) {
    const piece = body.subarray(at, Math.min(at + PIECE_BYTES, cut));
    if (piece.length > 0) {
      await new Promise((resolve) => response.write(piece, resolve));
      entry.sentBytes += piece.length;
    }
    if (at + PIECE_BYTES >= cut) return response.destroy();
    if (bytesPerSecond !== Infinity) await pause((PIECE_BYTES / bytesPerSecond) * 1000);
  }
  response.end();
}

function pause(ms) {
  // A pause is no reason to stay.
  return new Promise((resolve) => setTimeout(resolve, ms).unref());
}

// An OTLP receiver that pages of any origin may send to, and that answers as it is told.
import { createServer } from "node:http";
import { gunzipSync } from "node:zlib";
import { payload } from "./otlp.mjs";

const PAGES = {
  "access-control-allow-origin": "*",
  "access-control-allow-methods": "POST",
  "access-control-allow-headers": "authorization, content-type, content-encoding",
  "access-control-expose-headers": "retry-after",
};

/** Listens on `port`, or on a free one. */
export async function receive(port = 0) {
  /** Every request that was not a preflight: `headers`, `bytes` of the payload, what `payload` reads in it, and the status of the answer. */
  const requests = [];
  const preflights = [];
  /** The next answers: `{ status, headers, body }`; then always 200. */
  const answers = [];
  const server = createServer(async (request, response) => {
    if (request.method === "OPTIONS") {
      preflights.push(request.headers);
      response.writeHead(204, PAGES);
      return response.end();
    }
    const pieces = [];
    for await (const piece of request) pieces.push(piece);
    const body = Buffer.concat(pieces);
    const bytes = request.headers["content-encoding"] === "gzip" ? gunzipSync(body) : body;
    const { status = 200, headers = {}, body: text = "" } = answers.shift() ?? {};
    requests.push({ path: request.url, headers: request.headers, bytes, ...payload(bytes), status });
    response.writeHead(status, { ...PAGES, ...headers });
    response.end(text);
  });
  await new Promise((resolve) => server.listen(port, "127.0.0.1", resolve));
  const { port: bound } = server.address();
  return {
    url: `http://127.0.0.1:${bound}`,
    port: bound,
    requests,
    preflights,
    answers,
    /** Waits until so many payloads were taken, and gives these. */
    taken: async (count) => {
      for (let tries = 0; tries < 1000; tries += 1) {
        const taken = requests.filter(({ status }) => status === 200);
        if (taken.length >= count) return taken;
        await new Promise((resolve) => setTimeout(resolve, 20));
      }
      throw new Error(`${requests.length} of ${count} payloads came`);
    },
    close: () => {
      server.closeAllConnections();
      return new Promise((resolve) => server.close(resolve));
    },
  };
}

// Runs cases in a page with telemetry, and writes the payload of its one window to a file.
//
//   node observed.mjs BUNDLE PAYLOAD < CASES
//
// BUNDLE lies among the fixtures and nobody has signed it; CASES is a list of `{name: {type, dims, data}}` as JSON.
import { writeFileSync } from "node:fs";
import { text } from "node:stream/consumers";
import { call, launch, open } from "./harness/browser.mjs";
import { receive } from "./harness/receiver.mjs";
import { serve } from "./harness/server.mjs";

const [bundle, payload] = process.argv.slice(2);
const cases = JSON.parse(await text(process.stdin));
const receiver = await receive();
const server = await serve({}, { connect: receiver.url });
const browser = await launch();
const page = await open(browser, server);
await call(page, "Session", async ({ Session, Tensor, tensors }, { bundle, cases, endpoint }) => {
  const telemetry = { endpoint, intervalMs: 3_600_000 };
  const session = await Session.create(`/fixtures/${bundle}`, { trust: { allowUnsigned: true }, telemetry });
  for (const inputs of cases) await session.run(tensors(Tensor, inputs));
  await session.flushTelemetry();
}, { bundle, cases, endpoint: receiver.url });
const [{ bytes }] = await receiver.taken(1);
writeFileSync(payload, bytes);
await browser.close();
await server.close();
await receiver.close();

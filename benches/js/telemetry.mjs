// What recording costs in the npm package: the same runs in a session with telemetry and in one without, in turn, in processor time.
//
//   node benches/js/telemetry.mjs BUNDLE [RUNS]
//
// RUNS is how often each session runs in one of the 40 rounds. The bundle need not be signed. `cargo xtask web` comes before.
import { createServer } from "node:http";
import { Session, Tensor } from "../../wasm/web/npm/index.js";

const ROUNDS = 40;
const WARM_UP_ROUNDS = 2;

const [bundle, runs = "200"] = process.argv.slice(2);
const receiver = createServer((request, response) => request.resume().on("end", () => response.end()));
await new Promise((resolve) => receiver.listen(0, "127.0.0.1", resolve));
const telemetry = { endpoint: `http://127.0.0.1:${receiver.address().port}`, intervalMs: 10_000 };
const open = (more) => Session.create(bundle, { trust: { allowUnsigned: true }, ...more });
const sessions = { without: await open({}), with: await open({ telemetry }) };

/** Some input of the port's type and shape. */
function input({ type, shape }) {
  const dims = shape.map((size) => (typeof size === "number" ? size : 1));
  const size = dims.reduce((product, factor) => product * factor, 1);
  const value = (index) => (type.startsWith("float") ? Math.sin(index) : type.endsWith("64") ? BigInt(index % 256) : index % 256);
  return new Tensor(type, Array.from({ length: size }, (_, index) => value(index)), dims);
}
const inputs = Object.fromEntries(sessions.with.inputs.map((port) => [port.name, input(port)]));

/** Milliseconds of processor time that one run takes. */
async function measure(session) {
  const begun = process.cpuUsage();
  for (let run = 0; run < Number(runs); run += 1) await session.run(inputs);
  const { user, system } = process.cpuUsage(begun);
  return (user + system) / 1e3 / Number(runs);
}

const times = { without: [], with: [] };
for (let round = 0; round < ROUNDS; round += 1) {
  for (const name of round % 2 === 0 ? ["without", "with"] : ["with", "without"]) {
    const time = await measure(sessions[name]);
    if (round >= WARM_UP_ROUNDS) times[name].push(time);
  }
}
const [without, recorded] = [times.without, times.with].map((list) => Math.min(...list));
console.log(`${(without * 1e3).toFixed(1)} us a run without telemetry, ${(recorded * 1e3).toFixed(1)} us with it: ${((recorded / without - 1) * 100).toFixed(2)} % more`);
Object.values(sessions).forEach((session) => session.dispose());
receiver.close();

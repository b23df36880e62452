// A case from files, in Node.

import { readFileSync } from "node:fs";
import { join } from "node:path";
import { parseCase } from "./measure.mjs";

/** `inputs` and `outputs` of the case in this folder: `[{ name, dtype, shape, values }]`. */
export function readCase(folder) {
  const bytes = readFileSync(join(folder, "case.bin"));
  const own = bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength);
  return parseCase(JSON.parse(readFileSync(join(folder, "case.json"), "utf8")), own);
}

// compress.mjs FOLDER CACHE: leaves `NAME.br` beside every file of the folder that servers compress, brotli at quality 11, as a careful
// publisher has it. What was compressed before is taken from the cache.

import { createHash } from "node:crypto";
import { copyFileSync, existsSync, mkdirSync, readFileSync, readdirSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { brotliCompressSync, constants } from "node:zlib";

const COMPRESSED = /\.(html|js|mjs|wasm|onnx)$/;

const [folder, cache] = process.argv.slice(2);
if (cache === undefined) throw new Error("usage: compress.mjs FOLDER CACHE");
mkdirSync(cache, { recursive: true });
for (const name of readdirSync(folder, { recursive: true })) {
  if (COMPRESSED.test(name)) compress(join(folder, name));
}

function compress(path) {
  const content = readFileSync(path);
  const kept = join(cache, createHash("sha256").update(content).digest("hex"));
  if (!existsSync(kept)) {
    const params = { [constants.BROTLI_PARAM_QUALITY]: 11, [constants.BROTLI_PARAM_SIZE_HINT]: content.length };
    writeFileSync(`${kept}.tmp`, brotliCompressSync(content, { params }));
    renameSync(`${kept}.tmp`, kept);
  }
  copyFileSync(kept, `${path}.br`);
}

// What runs in a worker: a model on the GPU, or else on the CPU. The page's side is `remote.js`.
import { answer } from "./answer.js";
import { runtime } from "./init.js";
import { WebgpuModel } from "./webgpu/model.js";

answer({
  load: ({ where, options }, onProgress) => WebgpuModel.load(runtime(options), where, { ...options, onProgress }),
});

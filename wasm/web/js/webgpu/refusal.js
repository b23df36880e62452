import { PannierError } from "../error.js";

/** What an error of the engine means, by its code. A GPU that computes wrongly, or not at all, is no fault of the bundle's. */
const REASONS = {
  E_UNSUPPORTED_OPERATOR: "unsupported-operator",
  E_INVALID_MODEL: "unsupported-operator",
  E_ACCURACY: "wrong-answers",
  E_MEMORY_BUDGET: "limits",
  E_FAILED: "failed",
};

/** What wgpu and burn say of a device that is gone, and of memory that the device has not: they have no codes for it. */
const LOST = /\b(lost|destroyed|poisoned|could not be mapped)\b/i;
const NO_MEMORY = /\bout of memory\b/i;

/** Why WebGPU does not run a model: an error with a short `reason` for programs. */
export class Refusal extends PannierError {
  constructor(reason, message, { code = "E_FAILED", hint = null, cause } = {}) {
    super(code, message, { hint, cause });
    this.reason = reason;
  }

  /**
   * What an error of loading or of a run says of the GPU.
   *
   * @returns {Refusal | null} `null`: it is not about the GPU, and the CPU would say the same
   */
  static of(error) {
    if (error instanceof Refusal) return error;
    if (!(error instanceof PannierError) || !Object.hasOwn(REASONS, error.code)) return null;
    const { code, message, hint } = error;
    return new Refusal(reasonOf(code, message), message, { code, hint, cause: error });
  }
}

function reasonOf(code, message) {
  if (code === "E_FAILED" && NO_MEMORY.test(message)) return "limits";
  if (code === "E_FAILED" && LOST.test(message)) return "device-lost";
  return REASONS[code];
}

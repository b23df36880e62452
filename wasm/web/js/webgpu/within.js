import { Refusal } from "./refusal.js";

/** What a browser promises, or after so many milliseconds a refusal that says what it owes. */
export async function within(ms, promise, reason, what) {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Refusal(reason, `WebGPU gives no ${what} within ${ms / 1000} s`)), ms);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}

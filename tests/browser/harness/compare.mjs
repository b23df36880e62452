import assert from "node:assert/strict";

/** Answers within what the conformance suite allows for the real models. */
export function close(answers, expected) {
  assert.deepEqual(Object.keys(answers), Object.keys(expected));
  for (const [name, { type, dims, data }] of Object.entries(expected)) {
    assert.equal(answers[name].type, type, name);
    assert.deepEqual(answers[name].dims, dims, name);
    assert.equal(answers[name].data.length, data.length, name);
    answers[name].data.forEach((value, index) => {
      const allowed = 1e-4 + 1e-3 * Math.abs(data[index]);
      assert.ok(Math.abs(value - data[index]) <= allowed, `${name}[${index}] is ${value}, expected ${data[index]}`);
    });
  }
}

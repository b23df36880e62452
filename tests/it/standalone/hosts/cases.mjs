// Runs cases and gives the answers in the form of the cases.
const arrays = { float32: Float32Array, int32: Int32Array };

export function answer(run, cases) {
  return cases.map((inputs) => {
    const tensors = Object.entries(inputs).map(([name, { dtype, shape, data }]) => [name, { shape, data: arrays[dtype].from(data) }]);
    const outputs = run(Object.fromEntries(tensors));
    return Object.fromEntries(Object.entries(outputs).map(([name, { shape, data }]) => [name, { shape, data: [...data] }]));
  });
}

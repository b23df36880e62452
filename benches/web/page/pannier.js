import { Session, Tensor } from "../runtime/index.js";
import { start } from "./common.js";

start(async ({ file, key }) => {
  const session = await Session.create(file, { trust: { keys: key }, cache: true });
  return {
    names: session.inputs.map(({ name }) => name),
    tensor: (type, values, shape) => new Tensor(type, values, shape),
    run: (feeds) => session.run(feeds),
  };
});

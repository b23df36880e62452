/** A module of Node's own, or `undefined` elsewhere. Not an `import`, so that no bundler asks for it. */
export function builtin(name) {
  return globalThis.process?.getBuiltinModule?.(name);
}

/** Words of Node for which OpenTelemetry has others. */
const ARCHITECTURES = { x64: "amd64", arm: "arm32", ia32: "x86" };
const SYSTEMS = { win32: "windows", sunos: "solaris" };

/** Attributes of the service and the device: those of the caller, and what is known besides. The model's come from the module. */
export function device(given, instance) {
  const { arch, platform, versions } = globalThis.process ?? {};
  const isNode = versions?.node !== undefined;
  const known = {
    "service.instance.id": instance,
    "telemetry.sdk.name": "pannier",
    "telemetry.sdk.language": isNode ? "nodejs" : "webjs",
    ...(isNode && { "host.arch": ARCHITECTURES[arch] ?? arch, "os.type": SYSTEMS[platform] ?? platform, "pannier.target": "node" }),
  };
  return [...given, ...Object.entries(known).filter(([name]) => !given.some(([ours]) => ours === name))];
}

/** A random name: a UUID of version 4, for which an insecure page has no function. */
export function randomId() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  bytes[6] = (bytes[6] & 0x0f) | 0x40;
  bytes[8] = (bytes[8] & 0x3f) | 0x80;
  const text = Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
  return text.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, "$1-$2-$3-$4-$5");
}

/** The exporter of a session; `null` without telemetry, and then nothing of it is fetched. */
export async function startTelemetry(config, model) {
  if (config === null) return null;
  const { Exporter } = await import("./exporter.js");
  return Exporter.start(config, model);
}

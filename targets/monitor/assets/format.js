// Numbers and times as people read them.

const locale = navigator.language;
const plain = new Intl.NumberFormat(locale, { maximumSignificantDigits: 3 });
const whole = new Intl.NumberFormat(locale, { maximumFractionDigits: 0 });
const NONE = "–";

export const count = (value) => {
  if (value == null) return NONE;
  for (const [limit, unit] of [[1e9, "G"], [1e6, "M"], [1e4, "k"]]) {
    if (value >= limit) return `${plain.format(value / (unit === "k" ? 1e3 : limit))} ${unit}`;
  }
  return whole.format(value);
};

export const number = (value) => (value == null ? NONE : plain.format(value));

export const perSecond = (value) => (value == null ? NONE : `${plain.format(value)}/s`);

export const milliseconds = (value) => {
  if (value == null) return NONE;
  if (value >= 1000) return `${plain.format(value / 1000)} s`;
  return value < 1 ? `${plain.format(value * 1000)} µs` : `${plain.format(value)} ms`;
};

export const percent = (value) => {
  if (value == null) return NONE;
  return `${new Intl.NumberFormat(locale, { maximumSignificantDigits: 2 }).format(value * 100)} %`;
};

export const bytes = (value) => {
  if (value == null) return NONE;
  for (const [size, unit] of [[1e9, "GB"], [1e6, "MB"], [1e3, "kB"]]) {
    if (value >= size) return `${plain.format(value / size)} ${unit}`;
  }
  return `${whole.format(value)} B`;
};

export const duration = (ms) => {
  if (ms == null) return NONE;
  for (const [size, unit] of [[86400e3, "d"], [3600e3, "h"], [60e3, "min"]]) {
    if (ms >= size) return `${whole.format(Math.floor(ms / size))} ${unit}`;
  }
  return `${whole.format(Math.max(0, Math.round(ms / 1000)))} s`;
};

export const ago = (time, now) => (now - time < 2000 ? "now" : `${duration(now - time)} ago`);

export const moment = (time, span) => {
  const options = span > 36 * 3600e3 ? { month: "short", day: "numeric", hour: "2-digit", minute: "2-digit", hourCycle: "h23" } : { hour: "2-digit", minute: "2-digit", hourCycle: "h23" };
  return new Intl.DateTimeFormat(locale, options).format(time);
};

export const tick = (time, span) => {
  const options = span > 5 * 86400e3 ? { month: "short", day: "numeric" } : span > 36 * 3600e3 ? { weekday: "short", hour: "2-digit", hourCycle: "h23" } : { hour: "2-digit", minute: "2-digit", hourCycle: "h23" };
  return new Intl.DateTimeFormat(locale, options).format(time);
};

export const full = (time) => new Intl.DateTimeFormat(locale, { dateStyle: "medium", timeStyle: "medium", hourCycle: "h23" }).format(time);

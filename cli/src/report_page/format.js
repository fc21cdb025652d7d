// Numbers and times for people.

const whole = new Intl.NumberFormat("en-US", { maximumFractionDigits: 0 });
const short = new Intl.NumberFormat("en-US", { maximumSignificantDigits: 3 });
const NONE = "–";

const count = (number) => number === null || number === undefined ? NONE : whole.format(number);

/** Returns a count with its noun, whose plural ends with s if it is not given. */
const counted = (number, noun, nouns = `${noun}s`) => `${count(number)} ${number === 1 ? noun : nouns}`;

function bytes(number) {
  if (number === null || number === undefined) return NONE;
  const units = ["bytes", "KiB", "MiB", "GiB", "TiB", "PiB"];
  let unit = 0;
  while (number >= (unit === 0 ? 1024 : 999.5) && unit < units.length - 1) {
    number /= 1024;
    unit += 1;
  }
  return `${unit === 0 ? whole.format(number) : short.format(number)} ${units[unit]}`;
}

const tenths = new Intl.NumberFormat("en-US", { minimumFractionDigits: 1, maximumFractionDigits: 1 });

function percent(part, all) {
  if (!(all > 0)) return NONE;
  const share = 100 * part / all;
  return share > 0 && share < 0.05 ? "< 0.1 %" : `${tenths.format(share)} %`;
}

const [SECOND, MINUTE, HOUR, DAY] = [1000, 60_000, 3_600_000, 86_400_000];
const YEAR = 365 * DAY;

/** Returns a span of milliseconds in the greatest unit that fits. */
function span(millis) {
  const units = [[YEAR, "year"], [DAY, "day"], [HOUR, "h"], [MINUTE, "min"], [SECOND, "s"]];
  const [unit, name] = units.find(([unit]) => millis >= unit) ?? [1, "ms"];
  const number = short.format(Math.floor(10 * millis / unit) / 10);
  return `${number} ${name}${unit >= DAY && number !== "1" ? "s" : ""}`;
}

/** The greatest time of a date. */
const LAST_DATE = 8.64e15;

/** Returns a time in UTC, with as much of it as tells times apart that are `range` milliseconds apart. */
function time(millis, range) {
  if (millis === null || millis === undefined) return NONE;
  if (Math.abs(millis) > LAST_DATE) return String(millis);
  const text = new Date(millis).toISOString().replace("T", " ");
  if (range === undefined) return text.replace(/\.\d+Z$/, "");
  if (range > 90 * DAY) return text.slice(0, 10);
  if (range > 10 * MINUTE) return text.slice(0, 16);
  return range > 10 * SECOND ? text.slice(11, 19) : text.slice(11, 23);
}

const ago = (millis) => {
  if (millis === null || millis === undefined || Math.abs(millis) > LAST_DATE) return NONE;
  return millis <= report.now ? `${span(report.now - millis)} ago` : `in ${span(millis - report.now)}`;
};

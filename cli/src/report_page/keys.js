// Row keys, as text of printable ASCII and \xHH.

/** Returns the bytes of a key, as characters that compare like them. */
const decode = (text) =>
  text.replace(/\\x([0-9A-Fa-f]{2})/g, (_, digits) => String.fromCharCode(parseInt(digits, 16)));

/** Returns at most `most` characters of a key. */
const shortened = (text, most = 40) =>
  text.length <= most ? text : `${text.slice(0, Math.max(1, most - 1))}…`;

const startOf = (key) => key === "" ? "the first row" : key;
const endOf = (key) => key === "" ? "the last row" : key;

/** Returns a range of keys; long ones are shortened. */
function range(start, end) {
  if (start === null || end === null) return "unknown keys";
  return `${shortened(startOf(start), 90)} … ${shortened(endOf(end), 90)}`;
}

const keyOf = (text, most = 48) =>
  make("code", { title: text.length > most ? text : null }, shortened(text, most));

/** The width of a character of a label, in pixels. */
const CHARACTER = 6.7;

/** Returns the labels that fit below a line, as [text, x], of [text, x, room to the next] in order. */
function fitting(labels, width) {
  const chosen = [];
  let from = 0;
  for (const [text, x] of labels) {
    if (x < from) continue;
    const most = Math.floor((width - x) / CHARACTER);
    if (most < 3) continue;
    const label = shortened(text, Math.min(most, 18));
    chosen.push([label, x]);
    from = x + label.length * CHARACTER + 10;
  }
  return chosen;
}

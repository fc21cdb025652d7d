// Tables of rows and columns.

const SHOWN = 50;

/**
 * Creates a table. A column is {title, of, kind}: `of` returns the content of a cell for a row; `kind` is
 * a class, as "number" or "key", or nothing. Long tables begin with their first rows, and a button shows
 * more.
 */
function table(caption, columns, rows, shown = SHOWN) {
  const body = make("tbody");
  const more = make("button", { type: "button", class: "more" });
  let next = 0;
  const extend = () => {
    const until = next + (next === 0 ? shown : 4 * shown);
    for (const row of rows.slice(next, until)) {
      const cells = columns.map((column, at) => {
        const content = column.of(row);
        const attributes = { class: column.kind };
        if (at > 0) return make("td", attributes, content);
        return make("th", { ...attributes, scope: "row" }, content);
      });
      body.append(make("tr", {}, cells));
    }
    next = Math.min(until, rows.length);
    more.hidden = next >= rows.length;
    more.textContent = `Show more: ${count(next)} of ${count(rows.length)} are shown`;
  };
  more.addEventListener("click", extend);
  extend();
  const titles = columns.map((column) => make("th", { scope: "col", class: column.kind }, column.title));
  const head = make("thead", {}, make("tr", {}, titles));
  const scrolled = { class: "scroll", tabindex: "0", role: "region", "aria-label": caption };
  const whole = make("table", {}, make("caption", {}, caption), head, body);
  return make("div", {}, make("div", scrolled, whole), more);
}

/** Creates a table that is folded up at first. */
function folded(caption, columns, rows) {
  return make("details", {}, make("summary", {}, caption), table(caption, columns, rows));
}

/** Creates a list of names and contents. */
function properties(entries) {
  const known = entries.filter(([, content]) => content !== null && content !== undefined && content !== "");
  const entry = ([name, content]) => make("div", {}, make("dt", {}, name), make("dd", {}, content));
  return make("dl", {}, known.map(entry));
}

/** Creates a legend of [class, name] with the classes of their fills. */
function legend(entries) {
  const entry = ([fill, name]) => {
    const swatch = draw("svg", { width: 12, height: 12, "aria-hidden": "true" },
      draw("rect", { x: 0.5, y: 0.5, width: 11, height: 11, rx: 2, class: fill }));
    return make("li", {}, swatch, name);
  };
  return make("ul", { class: "legend" }, entries.map(entry));
}

/** Returns the columns of a total. */
const totals = (of) => [
  { title: "Files", kind: "number", of: (row) => count(of(row).files) },
  { title: "Size", kind: "number", of: (row) => bytes(of(row).bytes) },
  { title: "Cells", kind: "number", of: (row) => count(of(row).cells) },
  { title: "Oldest", kind: "time", of: (row) => time(of(row).oldest) },
  { title: "Newest", kind: "time", of: (row) => time(of(row).newest) },
];

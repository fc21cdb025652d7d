// Statistics of the cells of a table: the numbers of `hregion stats`, as bars.

const DISTRIBUTIONS = [
  ["key_bytes", "Bytes of a key", bytes],
  ["value_bytes", "Bytes of a value", bytes],
  ["cell_bytes", "Bytes of a cell", bytes],
  ["row_bytes", "Bytes of a row", bytes],
  ["row_cells", "Cells of a row", count],
  ["column_versions", "Versions of a column", count],
  ["age_millis", "Age of a cell", span],
];

/** The words for the bounds of ages, which are those of `hregion stats`. */
function binName(name, show, { from, to }) {
  if (name === "age_millis") {
    if (to === null) return `${span(from)} on`;
    return from === 0 ? `below ${span(to + 1)}` : `${span(from)} – ${span(to + 1)}`;
  }
  if (to === null) return `${count(from)} on`;
  return from === to ? count(from) : `${count(from)} – ${count(to)}`;
}

function bars(title, note, entries) {
  const all = entries.reduce((sum, [, number]) => sum + number, 0);
  const most = Math.max(1, ...entries.map(([, number]) => number));
  const bar = (number) => {
    const width = `${Math.max(number > 0 ? 1 : 0, 100 * number / most)}%`;
    return draw("svg", { width: "100%", height: 14, "aria-hidden": "true" },
      draw("rect", { x: 0, y: 1, height: 12, rx: 2, width, class: "data" }));
  };
  const row = ([name, number, text]) => make("tr", {}, make("th", { scope: "row", title: name }, name),
    make("td", { class: "bar" }, bar(number)),
    make("td", { class: "number" }, text ?? count(number)),
    make("td", { class: "number share" }, percent(number, all)));
  const caption = [make("strong", {}, title), note ? make("span", {}, note) : null];
  return make("figure", { class: "card" }, make("figcaption", {}, caption),
    make("table", { class: "bars" }, make("tbody", {}, entries.map(row))));
}

function distribution(statistics, [name, title, show]) {
  const of = statistics[name];
  if (of.count === 0) return null;
  const note = `half up to ${show(of.median)}, 99 % up to ${show(of.p99)}, greatest ${show(of.max)}`;
  return bars(title, note, of.bins.map((bin) => [binName(name, show, bin), bin.count]));
}

/** What the cells are of, unless they are those of a table. */
const PARTS = { region: "the region", family: "the family", hfile: "the file", snapshot: "the snapshot" };

/** The section of the cells of a table. */
function cellSection(shown) {
  const heading = make("h2", {}, make("span", {}, `Cells of ${PARTS[report.kind] ?? shown.table}`));
  const of = shown.statistics;
  if (of === null) return [heading, make("p", { class: "note" }, "The cells were not read.")];
  const said = [
    counted(of.rows, "row"), counted(of.columns, "column"), counted(of.cells, "cell"), bytes(of.bytes),
    of.timestamps ? `timestamps from ${time(of.timestamps.min)} to ${time(of.timestamps.max)}` : null,
    of.future_cells > 0 ? `${counted(of.future_cells, "cell")} of the future` : null,
  ].filter(Boolean).join(", ");
  const counting = "Each cell counts once, with older versions and delete markers.";
  const parts = [heading, make("p", {}, `${said}. ${counting}`)];
  if (of.unread_regions > 0) {
    const regions = counted(of.unread_regions, "region");
    const gone = `${regions} could not be read to the end; the numbers are of the rest.`;
    parts.push(make("p", { class: "alert" }, mark("error"), make("span", {}, gone)));
  }
  const types = Object.entries(of.types).sort((a, b) => b[1] - a[1]);
  const families = of.families.map((family) => [family.family, family.bytes, bytes(family.bytes)]);
  const cards = [
    types.length > 0 ? bars("Types of cells", "puts, and markers that delete", types) : null,
    families.length > 0 ? bars("Bytes by family", null, families) : null,
    ...DISTRIBUTIONS.map((one) => distribution(of, one)),
  ];
  parts.push(make("div", { class: "cards" }, cards));
  if (of.heaviest_rows.length > 0) {
    parts.push(table("Heaviest rows", [
      { title: "Row", kind: "key", of: (row) => keyOf(row.row, 80) },
      { title: "Size", kind: "number", of: (row) => bytes(row.bytes) },
      { title: "Cells", kind: "number", of: (row) => count(row.cells) },
    ], of.heaviest_rows));
  }
  return parts;
}

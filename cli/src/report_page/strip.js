// The regions of a table in the order of their keys: as wide as they are large, their families as layers.

const STRIP = { top: 16, height: 52, labels: 22, least: 8, hole: 30 };

/** Returns the regions that serve, with the holes between them, in the order of their keys. */
function stripItems(shown) {
  const items = [];
  const serving = shown.regions.filter((region) => region.serves);
  const holes = shown.gaps.filter((gap) => gap.kind === "hole");
  const isBefore = (gap, at) => gap.end !== "" && gap.regions[gap.regions.length - 1] === at;
  serving.forEach((region, at) => {
    holes.filter((gap) => isBefore(gap, at)).forEach((gap) => items.push({ gap }));
    const overlaps = shown.gaps.some((gap) => gap.kind === "overlap" && gap.regions.includes(at));
    items.push({ region, at, overlaps });
  });
  holes.filter((gap) => gap.end === "").forEach((gap) => items.push({ gap }));
  return items;
}

/** Returns rows of items with their places, all rows in one scale. */
function layOut(items, width) {
  const size = (item) => item.gap ? 0 : item.region.total.bytes;
  const fixed = (item) => item.gap ? STRIP.hole : STRIP.least;
  const sum = (row, of) => row.reduce((all, item) => all + of(item), 0);
  const cut = (perRow) => {
    const starts = [...items.keys()].filter((at) => at % perRow === 0);
    return starts.map((at) => items.slice(at, at + perRow));
  };
  const lines = Math.ceil(items.length / Math.max(6, Math.floor(width / 14)));
  let perRow = Math.max(1, Math.ceil(items.length / Math.max(1, lines)));
  // holes need more room than regions
  while (perRow > 1 && cut(perRow).some((row) => sum(row, fixed) > width)) perRow -= 1;
  const rows = cut(perRow);
  const scale = Math.min(...rows.map((row) => (width - sum(row, fixed)) / Math.max(1, sum(row, size))));
  const isEmpty = items.every((item) => size(item) === 0);
  return rows.map((row) => {
    let x = 0;
    return row.map((item) => {
      const even = item.gap ? 0 : (width - sum(row, fixed)) / perRow;
      const wide = fixed(item) + (isEmpty ? even : scale * size(item));
      const placed = { ...item, x, width: wide };
      x += wide;
      return placed;
    });
  });
}

function strip(shown, width) {
  const items = stripItems(shown);
  const rows = layOut(items, width);
  const step = STRIP.top + STRIP.height + STRIP.labels;
  const elements = [];
  const labels = [];
  rows.forEach((row, line) => {
    const y = line * step + STRIP.top;
    for (const item of row) elements.push(item.gap ? hole(item, y) : regionBox(shown, item, y));
    const keys = row.filter((item) => item.region).map((item) => [startOf(item.region.start), item.x]);
    for (const [text, x] of fitting(keys, width)) {
      labels.push(draw("text", { x: x + 1, y: y + STRIP.height + 15, class: "axis" }, text));
    }
  });
  const opened = items.findIndex((item) => item.region && item.at === state.region);
  moveByArrows(elements, Math.max(0, opened));
  const label = `Regions of ${shown.table} in the order of their keys`;
  const svg = picture(width, Math.max(1, rows.length) * step, label, hatching(), elements, labels);
  svg.id = "strip";
  return svg;
}

function hatching() {
  const units = { patternUnits: "userSpaceOnUse", patternTransform: "rotate(45)" };
  const pattern = { id: "hatch", width: 6, height: 6, ...units };
  return draw("defs", {}, draw("pattern", pattern, draw("rect", { width: 6, height: 6, class: "hatch-back" }),
    draw("rect", { width: 2, height: 6, class: "hatch-line" })));
}

function hole({ gap, x, width }, y) {
  const box = { x: x + 1, y, width: width - 2, height: STRIP.height, rx: 2 };
  const element = draw("g", { class: "gap", role: "img" },
    draw("rect", { ...box, class: "hole" }),
    draw("text", { x: x + width / 2, y: y - 4, class: "mark error", "text-anchor": "middle" }, "hole"));
  return describe(element, ["A hole: no region has these rows", range(gap.start, gap.end)]);
}

function regionBox(shown, { region, at, overlaps, x, width }, y) {
  const box = { x: x + 1, y, width: Math.max(1, width - 2), height: STRIP.height, rx: 2 };
  const layers = [];
  let top = y;
  for (const { family, total } of region.families) {
    const height = region.total.bytes > 0 ? STRIP.height * total.bytes / region.total.bytes : 0;
    const fill = `family${familyAt(shown, family)}`;
    layers.push(draw("rect", { ...box, rx: 0, y: top, height: Math.max(0, height), class: fill }));
    top += height;
  }
  const unread = region.files.some((file) => file.error) ? "error" : null;
  const worst = unread ?? worstOf(findingsOf(shown.table, region.encoded));
  const isBad = overlaps || (worst !== null && worst !== "info");
  const sign = overlaps && width > 50 ? "overlap" : "!";
  const place = { x: x + width / 2, y: y - 4, "text-anchor": "middle" };
  const element = draw("g", { class: at === state.region ? "region open" : "region", id: `region-${at}` },
    draw("rect", { ...box, class: "empty" }), layers,
    overlaps ? draw("rect", { ...box, height: 6, class: "overlap" }) : null,
    draw("rect", { ...box, class: "outline" }),
    isBad ? draw("text", { ...place, class: `mark ${overlaps ? "error" : worst}` }, sign) : null);
  activate(element, (byKey) => openRegion(at, byKey ? "files" : "region"));
  return describe(element, [
    range(region.start, region.end), region.encoded,
    counted(region.total.files, "file"), bytes(region.total.bytes), counted(region.total.cells, "cell"),
    overlaps ? "overlaps another region" : null,
    worst ? `findings: ${worst}` : null,
  ]);
}

/** The section of a table. */
function tableSection(shown, width) {
  const serving = shown.regions.filter((region) => region.serves);
  const others = shown.regions.map((region, at) => [region, at]).filter(([region]) => !region.serves);
  const gaps = (kind) => shown.gaps.filter((gap) => gap.kind === kind).length;
  const said = [
    counted(serving.length, "region"), counted(shown.total.files, "file"), bytes(shown.total.bytes),
    gaps("hole") > 0 ? counted(gaps("hole"), "hole") : null,
    gaps("overlap") > 0 ? counted(gaps("overlap"), "overlap") : null,
  ].filter(Boolean).join(", ");
  const heading = make("h2", {}, make("span", {}, `Table ${shown.table}`));
  const parts = [heading, make("p", { class: "path" }, shown.path)];
  if (shown.regions.length === 0) return [...parts, make("p", { class: "note" }, "It has no regions.")];
  const families = shown.families.map(({ family }, at) => [`family${at % FAMILIES}`, family]);
  const caption = `${said}. In the order of their keys, as wide as they are large; layers are families.`;
  parts.push(figure(caption, strip(shown, width), legend(families)));
  if (others.length > 0) {
    const buttons = others.map(([region, at]) => link(region.encoded, () => openRegion(at, "files")));
    const why = "Regions that serve no reads, as they were split or merged, are not complete, or have the MOB "
      + "files: ";
    parts.push(make("p", { class: "note" }, why,
      buttons.flatMap((button, at) => at === 0 ? [button] : [", ", button])));
  }
  const columns = [
    { title: "Region", of: ([region, at]) => link(region.encoded, () => openRegion(at, "files")) },
    { title: "From", kind: "key", of: ([{ start }]) => start === null ? NONE : keyOf(startOf(start)) },
    { title: "To", kind: "key", of: ([{ end }]) => end === null ? NONE : keyOf(endOf(end)) },
    { title: "Serves", of: ([region]) => region.serves ? "yes" : "no" },
    ...totals(([region]) => region.total),
  ];
  parts.push(folded("Regions as a table", columns, shown.regions.map((region, at) => [region, at])));
  return parts;
}

/** The number of colours of families. */
const FAMILIES = 6;

const familyAt = (shown, family) => shown.families.findIndex((one) => one.family === family) % FAMILIES;

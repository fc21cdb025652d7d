// The files of a region: keys from left to right, times from the bottom up, a panel for each family.

const PLOT = { height: 220, several: 140, title: 22, axis: 24, left: 122, right: 8, least: 7 };

/** Returns the rows of a file that the region can return: a reference has a part of those of its HFile. */
function keysOf(region, file) {
  const hfile = file.hfile;
  if (!hfile || hfile.first_row === null || hfile.last_row === null) return null;
  let [first, last] = [decode(hfile.first_row), decode(hfile.last_row)];
  if (file.kind !== "file" && region.start !== null) {
    const [start, end] = [decode(region.start), decode(region.end)];
    if (first < start) first = start;
    if (end !== "" && last > end) last = end;
    if (first > last) return null;
  }
  return [first, last];
}

/** Returns a scale of times: ages by their order of magnitude if they differ much, else times. */
function timeScale(times, top, bottom) {
  const [oldest, newest] = times.reduce(([low, high], at) => [Math.min(low, at), Math.max(high, at)],
    [Infinity, -Infinity]);
  const ages = [report.now - newest, report.now - oldest].map((age) => Math.max(0, age));
  const byAge = ages[1] > 20 * Math.max(ages[0], SECOND) && newest <= report.now + DAY;
  const value = byAge ? (at) => -Math.log10(1 + Math.max(0, report.now - at) / SECOND) : (at) => at;
  const [low, high] = [value(oldest), value(newest)];
  const extent = high - low;
  const y = (at) => {
    if (!(extent > 0)) return (top + bottom) / 2;
    // a time that is no date is beyond the others
    return bottom - (value(Math.max(oldest, Math.min(at, newest))) - low) / extent * (bottom - top);
  };
  const marks = byAge
    ? [0, SECOND, MINUTE, 10 * MINUTE, HOUR, 6 * HOUR, DAY, 7 * DAY, 30 * DAY, YEAR, 10 * YEAR, 50 * YEAR]
      .filter((age) => age >= ages[0] && age <= ages[1])
      .map((age) => [report.now - age, age === 0 ? "now" : span(age)])
    : [0, 1, 2, 3, 4].map((part) => oldest + part * (newest - oldest) / 4)
      .map((at) => [Math.round(at), time(Math.round(at), newest - oldest)]);
  const ticks = [];
  for (const [at, text] of marks) {
    if (ticks.every((tick) => Math.abs(tick.y - y(at)) > 16)) ticks.push({ y: y(at), text });
  }
  return { y, ticks, byAge };
}

/** Draws the files of each family in a panel of its own, all with the same keys and times. */
function filePlot(shown, region, width) {
  const placed = region.files
    .map((file, at) => ({ file, at, keys: keysOf(region, file), times: timesOf(file) }))
    .filter(({ keys, times }) => keys !== null && times !== null);
  if (placed.length === 0) return null;
  const rows = [...new Set(placed.flatMap(({ keys }) => keys))].sort((a, b) => a < b ? -1 : 1);
  const rank = new Map(rows.map((row, at) => [row, at]));
  const [left, right] = [PLOT.left, width - PLOT.right];
  const x = (row) => rows.length < 2 ? left : left + rank.get(row) / (rows.length - 1) * (right - left);
  const families = region.families.map(({ family }) => family)
    .filter((family) => placed.some(({ file }) => file.family === family));
  const height = families.length > 1 ? PLOT.several : PLOT.height;
  const times = placed.flatMap((one) => one.times).filter((at) => Math.abs(at) <= LAST_DATE);
  const scale = timeScale(times.length > 0 ? times : [report.now], PLOT.least, height - PLOT.least);
  const [elements, order] = [[], []];
  families.forEach((family, panel) => {
    const top = panel * (height + PLOT.title) + PLOT.title;
    const grid = scale.ticks.map(({ y, text }) => [
      draw("line", { x1: left, x2: right, y1: top + y, y2: top + y, class: "grid" }),
      draw("text", { x: left - 8, y: top + y + 4, class: "axis", "text-anchor": "end" }, text),
    ]);
    const ofFamily = placed.filter(({ file }) => file.family === family);
    const boxes = ofFamily.map(({ file, at, keys, times: [oldest, newest] }) => {
      const wide = rows.length < 2 ? right - left : Math.max(PLOT.least, x(keys[1]) - x(keys[0]));
      const [high, low] = [scale.y(Math.min(newest, LAST_DATE)), scale.y(Math.max(oldest, -LAST_DATE))];
      const tall = Math.max(PLOT.least, low - high);
      const y = top + (high + low - tall) / 2;
      return { file, at, x: Math.min(x(keys[0]), right - wide), y, width: wide, height: tall };
    });
    // small ones above large ones, so that all can be reached
    boxes.sort((a, b) => b.width * b.height - a.width * a.height);
    const drawn = boxes.map((box) => fileBox(shown, box));
    boxes.forEach((box, at) => order.push([box.at, drawn[at]]));
    elements.push(
      draw("text", { x: left, y: top - 6 }, family === null ? null : `${family}: `,
        counted(boxes.length, "file")),
      draw("rect", { x: left, y: top, width: right - left, height, class: "frame" }), grid, drawn);
  });
  order.sort((a, b) => a[0] - b[0]);
  const opened = order.findIndex(([at]) => at === state.file);
  moveByArrows(order.map(([, element]) => element), Math.max(0, opened));
  const bottom = families.length * (height + PLOT.title);
  const labels = fitting(rows.map((row) => [encode(row), x(row)]), right).map(([text, at]) =>
    draw("text", { x: at, y: bottom + 16, class: "axis" }, text));
  const of = region.encoded === null ? "" : ` of the region ${region.encoded}`;
  const label = `Files${of} by keys and ${scale.byAge ? "age" : "time"}`;
  const svg = picture(width, bottom + PLOT.axis, label, elements, labels);
  svg.id = "files";
  return { svg, byAge: scale.byAge, placed: placed.length };
}

/** Returns the oldest and the newest timestamp of the cells that a file leads to. */
function timesOf(file) {
  const of = file.hfile;
  // times that no number can be are text
  const isRange = of && of.oldest !== null && Number(of.oldest) <= Number(of.newest);
  return isRange ? [of.oldest, of.newest] : null;
}

/** Returns bytes as `Bytes.toStringBinary` prints them. */
function encode(row) {
  const digits = (c) => c.charCodeAt(0).toString(16).toUpperCase().padStart(2, "0");
  return row.replace(/[^ -~]|\\/g, (c) => `\\x${digits(c)}`);
}

function fileBox(shown, { file, at, ...box }) {
  const kind = file.kind === "file" ? "" : ` ${file.kind}`;
  const opened = at === state.file ? " open" : "";
  const element = draw("g", { class: `file${kind}${opened}`, id: `file-${at}` },
    draw("rect", { ...box, rx: 2, class: `family${familyAt(shown, file.family)}` }),
    draw("rect", { ...box, rx: 2, class: "outline" }));
  activate(element, (byKey) => openFile(at, byKey ? "file" : `file-${at}`));
  const of = file.hfile;
  return describe(element, [
    file.family === null ? file.name : `${file.family}/${file.name}`,
    file.kind === "file" ? null : `${file.kind} to ${file.target}`,
    `${bytes(of.bytes)}, ${counted(of.cells, "cell")}`,
    `rows ${shortened(of.first_row)} … ${shortened(of.last_row)}`,
    `times ${time(of.oldest)} … ${time(of.newest)}`,
  ]);
}

/** The section of a region. */
function regionSection(shown, region, width) {
  const total = region.total;
  const parts = region.encoded === null ? [make("h2", {}, make("span", {}, "Files"))] : [
    make("h2", {}, make("span", {}, "Region ", make("code", {}, region.encoded)),
      closer("region", closeRegion)),
    make("p", {}, "Rows ", region.start === null || region.end === null ? "unknown"
      : [keyOf(startOf(region.start)), " … ", keyOf(endOf(region.end))]),
  ];
  parts.push(make("p", { class: "path" }, region.path));
  if (region.files.length === 0) return [...parts, make("p", { class: "note" }, "There are no store files.")];
  const plot = filePlot(shown, region, width);
  const said = `${counted(total.files, "file")}, ${bytes(total.bytes)}, ${counted(total.cells, "cell")}.`;
  if (plot === null) {
    parts.push(make("p", {}, said, " None has cells with known keys and times."));
  } else {
    const axis = `from old (below) to new${plot.byAge ? ", by the logarithm of the age" : ""}`;
    const missing = region.files.length - plot.placed;
    const rest = missing > 0 ? ` ${counted(missing, "file")} without cells, or unreadable.` : "";
    const kinds = [["reference", "reference to a half of a file"], ["link", "link to a file"]]
      .filter(([kind]) => region.files.some((file) => file.kind === kind))
      .map(([kind, name]) => [`swatch-${kind}`, name]);
    const caption = `${said} Keys in order, not to scale, from left to right; timestamps ${axis}.${rest}`;
    parts.push(figure(caption, plot.svg, kinds.length > 0 ? legend(kinds) : null));
  }
  return [...parts, fileTable(region)];
}

/** Returns the sequence id of a file that can be read: that of a bulk-loaded file is in its name. */
function sequenceId(file) {
  const named = /_SeqId_(\d+)_(\.|$)/.exec(file.name);
  return named ? Number(named[1]) : file.hfile.max_sequence_id;
}

function fileTable(region) {
  const of = (get) => ([file]) => file.hfile ? get(file.hfile) : NONE;
  const key = (get) => of((hfile) => get(hfile) === null ? NONE : keyOf(get(hfile), 24));
  const columns = [
    { title: "File", of: ([file, at]) => {
      const button = link(shortened(file.name, 22), () => openFile(at, "file"), file.name);
      if (at === state.file) button.setAttribute("aria-current", "true");
      return file.error ? [mark("error", "unreadable"), " ", button] : button;
    } },
    { title: "Family", of: ([file]) => file.family ?? NONE },
    { title: "Kind", of: ([file]) => file.kind },
    { title: "Size", kind: "number", of: ([file]) => bytes(file.bytes) },
    { title: "Cells", kind: "number", of: ([file]) => count(file.cells) },
    { title: "First row", kind: "key", of: key((hfile) => hfile.first_row) },
    { title: "Last row", kind: "key", of: key((hfile) => hfile.last_row) },
    { title: "Oldest", kind: "time", of: of((hfile) => time(hfile.oldest)) },
    { title: "Newest", kind: "time", of: of((hfile) => time(hfile.newest)) },
    { title: "Sequence id", kind: "number", of: ([file]) => file.hfile ? count(sequenceId(file)) : NONE },
  ];
  return table("Files", columns, region.files.map((file, at) => [file, at]));
}

// A file: its properties, the map of its blocks and the levels of its index.

const MAP = { height: 170, top: 22, bottom: 24, left: 66, right: 8 };
const PURPOSES = [
  ["data", "data"], ["index", "index"], ["bloom", "Bloom filter"], ["other", "file info, meta"],
];

function fileSection(region, file, width) {
  const parts = [
    make("h3", {}, make("span", {}, "File ", make("code", {}, file.name),
      file.family === null ? null : ` of ${file.family}`),
      closer("file", closeFile)),
    make("p", { class: "path" }, file.path),
  ];
  if (file.target) {
    parts.push(make("p", { class: "path" }, `A ${file.kind} to ${file.target}: all of it is shown.`));
  }
  if (file.error) parts.push(make("p", { class: "alert" }, mark("error"), make("span", {}, file.error)));
  const of = file.hfile;
  if (!of) return parts;
  const flags = [
    // a file to be bulk loaded is written as one of a major compaction
    of.major_compaction && of.bulk_loaded === null ? "by a major compaction" : null,
    of.bulk_loaded !== null ? "bulk loaded" : null,
    of.encrypted ? "encrypted" : null,
  ].filter(Boolean).join(", ");
  const sequence = sequenceId(file);
  parts.push(properties([
    ["Size", bytes(of.bytes)], ["Cells", count(of.cells)],
    ["Uncompressed", bytes(of.uncompressed_bytes)],
    ["First row", of.first_row === null ? null : keyOf(of.first_row)],
    ["Last row", of.last_row === null ? null : keyOf(of.last_row)],
    ["Timestamps", of.oldest === null ? null : `${time(of.oldest)} … ${time(of.newest)}`],
    ["Average key", of.average_key_bytes === null ? null : bytes(of.average_key_bytes)],
    ["Average value", of.average_value_bytes === null ? null : bytes(of.average_value_bytes)],
    ["Encoding", of.encoding], ["Compression", of.compression],
    ["Bloom filter", of.bloom === null ? "none" : `${of.bloom}, ${counted(of.bloom_keys, "key")}`],
    ["Row deletes", of.delete_families ? count(of.delete_families) : null],
    ["Sequence id", sequence === null ? null : count(sequence)],
    ["Written", of.created === null ? null : `${time(of.created)} ${flags}`.trim()],
    ["HFile version", of.version],
  ]));
  of.warnings.forEach((warning) => parts.push(make("p", { class: "note" }, mark("warning"), " ", warning)));
  parts.push(make("div", { class: "columns" },
    figure(mapCaption(of.blocks), blockMap(of, width), blockLegend(of.blocks)),
    figure(`Index of ${counted(of.index_levels, "level")}.`, indexTree(of))));
  const all = of.blocks.types.reduce((sum, type) => sum + type.bytes, 0);
  parts.push(folded("Blocks by type", [
    { title: "Type", of: (type) => type.type },
    { title: "Blocks", kind: "number", of: (type) => count(type.blocks) },
    { title: "Size", kind: "number", of: (type) => bytes(type.bytes) },
    { title: "Share", kind: "number", of: (type) => percent(type.bytes, all) },
    { title: "Uncompressed", kind: "number", of: (type) => bytes(type.uncompressed) },
  ], of.blocks.types));
  if (of.root_index && of.root_index.length > 0) {
    const all = counted(of.index_entries, "entry", "entries");
    const some = of.root_index.length < of.index_entries ? `${of.root_index.length} of ${all}` : all;
    parts.push(folded(`Root of the index: ${some}`, [
      { title: "Entry", kind: "number", of: (entry) => count(entry.entry) },
      { title: "Row", kind: "key", of: (entry) => keyOf(entry.row ?? NONE, 60) },
      { title: "First data block at", kind: "number", of: (entry) => count(entry.first_data_block) },
    ], of.root_index));
  }
  return parts;
}

function mapCaption({ count: blocks, per_piece: joined }) {
  const bars = joined > 1
    ? `a bar is ${counted(joined, "block")} that follow each other, as high as their average size`
    : "a bar is a block, as high as its size";
  return `${counted(blocks, "block")} by their places in the file; ${bars}.`;
}

const sizeOf = (piece) => PURPOSES.reduce((sum, [purpose]) => sum + piece[purpose], 0);

function blockMap(of, width) {
  const { pieces } = of.blocks;
  const [left, right, bottom] = [MAP.left, width - MAP.right, MAP.height - MAP.bottom];
  const end = Math.max(1, of.bytes);
  const x = (offset) => left + offset / end * (right - left);
  const most = Math.max(1, ...pieces.map((piece) => sizeOf(piece) / piece.blocks));
  const bars = pieces.flatMap((piece) => {
    const size = sizeOf(piece);
    const height = Math.max(3, size / piece.blocks / most * (bottom - MAP.top));
    const wide = Math.max(1.5, x(piece.offset + size) - x(piece.offset) - (pieces.length < 160 ? 0.75 : 0));
    let y = bottom;
    const present = PURPOSES.filter(([purpose]) => piece[purpose] > 0);
    const layers = present.map(([purpose]) => {
      const tall = height * piece[purpose] / Math.max(1, size);
      y -= tall;
      return draw("rect", { x: x(piece.offset), y, width: wide, height: tall, class: purpose });
    });
    const group = draw("g", { class: "piece", role: "img" }, layers);
    const shares = present.map(([purpose, name]) => `${name} ${bytes(piece[purpose])}`);
    return describe(group, [`at ${count(piece.offset)}`, counted(piece.blocks, "block"), ...shares]);
  });
  moveByArrows(bars, 0);
  const anchors = { 0: "start", 1: "end" };
  const parts = width < 480 ? [0, 0.5, 1] : [0, 0.25, 0.5, 0.75, 1];
  const offsets = parts.map((part) => draw("text", {
    x: x(part * end), y: bottom + 16, class: "axis", "text-anchor": anchors[part] ?? "middle",
  }, bytes(Math.round(part * end))));
  const rows = (of.root_index ?? []).filter((entry) => entry.first_data_block !== null && entry.row !== null)
    .map((entry) => [entry.row, x(entry.first_data_block)]);
  const keys = fitting(rows, right).flatMap(([text, at]) => [
    draw("line", { x1: at, x2: at, y1: MAP.top - 6, y2: bottom, class: "grid" }),
    draw("text", { x: at + 3, y: MAP.top - 9, class: "axis" }, text),
  ]);
  const marks = [[most, MAP.top + 4], [most / 2, (MAP.top + bottom) / 2 + 4], [0, bottom + 1]];
  const sizes = marks.map(([size, y]) =>
    draw("text", { x: left - 8, y, class: "axis", "text-anchor": "end" }, bytes(Math.round(size))));
  const axis = draw("line", { x1: left, x2: right, y1: bottom + 0.5, y2: bottom + 0.5, class: "line" });
  const label = "Blocks of the file by place and size";
  const svg = picture(width, MAP.height, label, keys, bars, axis, offsets, sizes);
  svg.id = "blocks";
  return svg;
}

function blockLegend({ types }) {
  const sums = { data: 0, index: 0, bloom: 0, other: 0 };
  for (const type of types) {
    const kinds = [[/DATA$/, "data"], [/INDEX/, "index"], [/BLOOM/, "bloom"], [/./, "other"]];
    sums[kinds.find(([pattern]) => pattern.test(type.type))[1]] += type.bytes;
  }
  const all = Object.values(sums).reduce((sum, size) => sum + size, 0);
  return legend(PURPOSES.filter(([purpose]) => sums[purpose] > 0)
    .map(([purpose, name]) => [purpose, `${name} ${percent(sums[purpose], all)}`]));
}

/** The levels of the index, from the root down to the data blocks. A level is wider if it has more blocks. */
function indexTree(of) {
  const blocks = (...names) => of.blocks.types.filter((type) => names.includes(type.type))
    .reduce((sum, type) => sum + type.blocks, 0);
  const levels = [
    ["root", 1, "index", counted(of.index_entries, "entry", "entries")],
    ["intermediate", blocks("INTERMEDIATE_INDEX"), "index"],
    ["leaves", blocks("LEAF_INDEX"), "index"],
    ["data", blocks("DATA", "ENCODED_DATA"), "data"],
  ].filter(([, number]) => number > 0);
  const [width, step, high, middle] = [300, 44, 22, 150];
  const most = Math.log2(1 + Math.max(...levels.map(([, number]) => number)));
  const half = (number) => 64 + 80 * (most > 0 ? Math.log2(1 + number) / most : 0);
  const drawn = levels.flatMap(([name, number, fill, more], at) => {
    const y = at * step + 2;
    const below = levels[at + 1];
    const joint = below ? draw("polygon", {
      class: "joint",
      points: [[-half(number), high], [half(number), high], [half(below[1]), step], [-half(below[1]), step]]
        .map(([dx, dy]) => `${middle + dx},${y + dy}`).join(" "),
    }) : null;
    const text = `${name}: ${more ?? counted(number, "block")}`;
    return [
      joint,
      draw("rect", {
        x: middle - half(number), y, width: 2 * half(number), height: high, rx: 3, class: `${fill} level`,
      }),
      draw("text", { x: middle, y: y + 15, class: "on-level", "text-anchor": "middle" }, text),
    ];
  });
  const said = levels.map(([name, number]) => `${name}: ${counted(number, "block")}`).join(", ");
  const svg = picture(width, (levels.length - 1) * step + high + 4, `Levels of the index: ${said}`, drawn);
  svg.id = "index";
  return svg;
}

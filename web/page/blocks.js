// The blocks: a map, and the content of one.

const KINDS = [
  ["data", "data"], ["index", "index"], ["bloom", "Bloom filter"], ["other", "file info, meta"],
  ["trailer", "trailer"],
];
/** The maximum numbers of blocks that are read at once, of answers with them, and of rectangles of the map. */
const [MAX_BLOCKS, MAX_ANSWERS, MAX_PIECES] = [20_000, 40, 2_000];

function kindOf(type) {
  if (type.endsWith("DATA")) return "data";
  if (type.includes("INDEX")) return "index";
  return type.includes("BLOOM") ? "bloom" : "other";
}

/** Joins neighbours of a kind, until they are few enough. */
function piecesOf(blocks) {
  const joined = Math.ceil(blocks.length / MAX_PIECES);
  const pieces = [];
  for (const block of blocks) {
    const last = pieces.at(-1);
    if (last && last.kind === kindOf(block.type) && last.blocks.length < joined) last.blocks.push(block);
    else pieces.push({ kind: kindOf(block.type), blocks: [block] });
  }
  return pieces;
}

/** Draws the file as lines of equal numbers of bytes, with each piece at its place. */
function blockMap(blocks, { length, end }, width, open) {
  const [height, gap] = [22, 4];
  const lines = Math.max(1, Math.min(12, Math.ceil(blocks.length / 40)));
  const perLine = length / lines;
  const rects = (start, end, kind) => {
    const found = [];
    for (let line = Math.floor(start / perLine); line < lines && line * perLine < end; line += 1) {
      const from = Math.max(start - line * perLine, 0) / perLine * width;
      const to = Math.min(end - line * perLine, perLine) / perLine * width;
      const place = { x: from, y: line * (height + gap) + 2, width: Math.max(to - from - 0.5, 0.7), height };
      found.push(draw("rect", { ...place, class: kind }), draw("rect", { ...place, class: "outline" }));
    }
    return found;
  };
  const elements = piecesOf(blocks).map((piece) => {
    const [first, last] = [piece.blocks[0], piece.blocks.at(-1)];
    const [start, end] = [first.offset, last.offset + last.size];
    const group = draw("g", { class: "block", "data-offset": start }, rects(start, end, piece.kind));
    const many = piece.blocks.length > 1 ? ` and ${piece.blocks.length - 1} more` : "";
    describe(group, [`${first.type} at ${first.offset}${many}`, bytes(end - start),
      first.key && `from row ${shortened(first.key.row)}`]);
    activate(group, () => open(first, group));
    return group;
  });
  if (elements.length > 0) moveByArrows(elements, 0);
  const trailer = end === null ? [] : rects(end, length, "trailer");
  return picture(width, lines * (height + gap) + 4, "Map of the blocks", elements, trailer);
}

function legend() {
  const item = ([kind, name]) => {
    const size = { width: 12, height: 12 };
    return make("li", {}, draw("svg", size, draw("rect", { ...size, class: kind })), name);
  };
  return make("ul", { class: "legend" }, KINDS.map(item));
}

/** Whether an error is in a block: to end one, the reader enters the next. */
const isIn = ({ offset }, block) =>
  offset === null || offset === undefined || offset >= block.offset && offset < block.offset + block.size;

/** The section of the map. It reads headers until it has enough of them. */
class Blocks {
  constructor(reader, summary) {
    [this.reader, this.summary] = [reader, summary];
    [this.blocks, this.next, this.end, this.error] = [[], 0, null, null];
    this.isReading = false;
  }

  async read() {
    // another call would read the same headers again
    if (this.isReading) return;
    this.isReading = true;
    const most = this.blocks.length + MAX_BLOCKS;
    // with long keys, an answer has few blocks
    for (let answers = 0; answers < MAX_ANSWERS; answers += 1) {
      if (this.next === null || this.blocks.length >= most || this.error !== null) break;
      const answer = await this.reader.ask("blocks", { offset: this.next, limit: 1000 });
      if (answer.error) this.error = answer.error;
      this.blocks.push(...answer.blocks ?? []);
      this.next = answer.next ?? null;
      this.end = answer.end ?? null;
    }
    this.isReading = false;
    this.draw();
  }

  draw() {
    const width = Math.max(280, byId("blocks").clientWidth - 36);
    const byType = new Map();
    for (const block of this.blocks) {
      const sum = byType.get(block.type) ?? { blocks: 0, size: 0, plain: 0 };
      sum.blocks += 1;
      sum.size += block.size;
      sum.plain += block.uncompressed_size;
      byType.set(block.type, sum);
    }
    const rows = [...byType].map(([type, sum]) => {
      return [type, count(sum.blocks), bytes(sum.size), bytes(sum.plain)];
    });
    const columns = [
      ["Type", "kind"], ["Blocks", "number"], ["On disk", "number"], ["Uncompressed", "number"],
    ];
    show(byId("blocks"), heading("Blocks", counted(this.blocks.length, "block")),
      this.error && alertOf(this.error),
      figure("The file from its start to its end. Select a block to see its content.",
        blockMap(this.blocks, { length: this.summary.length, end: this.end }, width,
          (block, from) => this.open(block, from)), legend()),
      this.next === null ? null : button("Read more headers", () => this.read()),
      grid("Blocks by type", columns, rows),
      make("section", { id: "block", tabindex: "-1", "aria-label": "Block", hidden: true }));
  }

  async open(block, from) {
    document.querySelectorAll("#blocks .open").forEach((one) => one.classList.remove("open"));
    from?.classList.add("open");
    const close = () => {
      byId("block").hidden = true;
      from?.classList.remove("open");
      from?.focus();
    };
    const parts = [
      make("h3", {}, make("span", {}, `${block.type} at ${block.offset}`), closer("block", close)),
      terms([
        ["On disk, with header", bytes(block.size)], ["On disk", bytes(block.on_disk_size)],
        ["Uncompressed", bytes(block.uncompressed_size)],
        ["Previous block of this type", block.prev_block_offset],
        ["Bytes per checksum", block.bytes_per_checksum],
        ["Index key", block.key && make("code", {}, keyText(block.key))],
      ]),
    ];
    if (block.key) {
      const members = { key: block.key, block: true, limit: 200 };
      const answer = this.summary.searchable ? await this.reader.ask("cells", members) : null;
      if (answer?.error && isIn(answer.error, block)) parts.push(alertOf(answer.error));
      if (answer?.cells) {
        const more = answer.next ? ", and more" : "";
        // a search cannot distinguish blocks between which the key is the same
        const isSame = (other) => other !== block && other.key && keyText(other.key) === keyText(block.key);
        const from = this.blocks.some(isSame) ? "blocks with this index key" : "block";
        const caption = `${counted(answer.cells.length, "cell")} of the ${from}${more}`;
        parts.push(cellTable(answer.cells, caption, byId("form").value));
      }
      parts.push(button("Cells from here on", () => showCells({ key: block.key })));
    } else if (kindOf(block.type) === "data") {
      parts.push(make("p", { class: "note" }, "The index has no entry of this block that can be shown."));
    }
    show(byId("block"), parts);
    byId("block").hidden = false;
    // otherwise the focus scrolls to the middle of a long section
    byId("block").focus({ preventScroll: true });
    byId("block").scrollIntoView({ block: "nearest" });
    byId("block").onkeydown = (event) => { if (event.key === "Escape") close(); };
  }
}

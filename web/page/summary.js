// The trailer, the file info, the Bloom filters.

const TIMES = ["hfile.CREATE_TIME_TS", "EARLIEST_PUT_TS", "BULKLOAD_TIMESTAMP"];

/** Returns a key in one line. */
function keyText(key) {
  return `${key.row}/${key.family}:${key.qualifier}/${key.timestamp}/${key.type}`;
}

function infoValue(name, value) {
  if (TIMES.includes(name) && typeof value === "number") return `${value} (${dated(value)} UTC)`;
  if (value !== null && typeof value === "object") {
    if ("row" in value) return make("code", {}, keyText(value));
    return `${value.min} … ${value.max} (${dated(value.min)} … ${dated(value.max)} UTC)`;
  }
  return make("code", {}, String(value));
}

function bloomTerms(name, type, bloom) {
  if (bloom === null) return [];
  return [
    make("h3", {}, make("span", {}, name)),
    terms([
      ["Type", type], ["Keys", count(bloom.key_count)], ["Room for keys", count(bloom.max_keys)],
      ["Bits", bytes(bloom.total_bytes)], ["Hash", `${bloom.hash}, ${counted(bloom.hash_count, "time")}`],
      ["Chunks", count(bloom.chunks.length)], ["Version", bloom.version],
    ]),
  ];
}

function summarySection(answer) {
  const title = heading("Summary");
  if (answer.error) {
    const notes = {
      Unsupported: "This page does not support what the file needs; the tool may.",
      Io: "The browser cannot read it: it is a directory, or was moved or changed. Choose a file again.",
    };
    const other = "The file cannot be opened. A verification lists what is wrong with it.";
    const note = notes[answer.error.kind] ?? other;
    return [title, alertOf(answer.error), make("p", { class: "note" }, note)];
  }
  const { trailer, file_info_left_out: left } = answer;
  const info = left > 0 ? `File info, without the last ${counted(left, "entry", "entries")}` : "File info";
  const tile = (number, name) => make("li", {}, make("strong", {}, number), make("span", {}, name));
  return [
    title,
    answer.warnings.map(alertOf),
    !answer.searchable && make("p", { class: "note" }, "The order of the cells is unknown: no search."),
    make("ul", { class: "tiles" },
      tile(bytes(answer.length), "size"), tile(count(trailer.entry_count), "cells"),
      tile(`v${trailer.major_version}.${trailer.minor_version}`, "HFile version"),
      tile(answer.encoding, "encoding"), tile(answer.codec, "compression"),
      tile(answer.bloom_type ?? "none", "Bloom filter"), tile(count(answer.levels), "index levels")),
    terms([
      ["First key", answer.first_key && make("code", {}, keyText(answer.first_key))],
      ["Mid key", answer.mid_key && make("code", {}, keyText(answer.mid_key))],
      ["Last key", answer.last_key && make("code", {}, keyText(answer.last_key))],
    ]),
    make("div", { class: "cards" },
      make("div", { id: "trailer" }, grid("Trailer (FileTrailerProto)", [["Field", "kind"], ["Value", ""]],
        Object.entries(trailer).map(([name, value]) => [name, make("code", {}, String(value))]))),
      make("div", { id: "info" }, grid(info, [["Entry", "kind"], ["Value", ""]],
        Object.entries(answer.file_info).map(([name, value]) => [name, infoValue(name, value)])))),
    bloomTerms("Bloom filter", answer.bloom_type, answer.general_bloom),
    bloomTerms("Bloom filter of rows with deleted families", "ROW", answer.delete_family_bloom),
  ];
}

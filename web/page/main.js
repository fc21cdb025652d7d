// The page, which shows one file.

const SECTIONS = [
  ["summary", "Summary"], ["cells", "Cells"], ["blocks", "Blocks"], ["index", "Index"],
  ["bloom", "Bloom filter"], ["verify", "Verify"],
];
const shown = { reader: null, cells: null, blocks: null, stop: null };

/** Shows the page of cells for a request. */
function showCells(members) {
  shown.cells?.go(members);
  byId("cells").focus({ preventScroll: true });
  byId("cells").scrollIntoView({ block: "start" });
}

async function openFile(file) {
  shown.stop?.();
  shown.reader?.close();
  const reader = new Reader(file);
  [shown.reader, shown.cells, shown.blocks] = [reader, null, null];
  document.title = printable(`${file.name} – hregion`);
  byId("page").dataset.state = "opening";
  byId("fault").hidden = true;
  const about = `, ${bytes(file.size)}; it is read here, and no byte of it leaves this machine`;
  show(byId("about"), make("code", {}, file.name), about);
  const sections = SECTIONS.map(([id, name]) => make("section", { id, tabindex: "-1", "aria-label": name }));
  show(byId("page"), sections);
  byId("page").hidden = false;
  shown.stop = drawVerify(file);
  const summary = await reader.ask("summary", {});
  if (shown.reader !== reader) return;
  show(byId("summary"), summarySection(summary));
  const opened = !summary.error;
  for (const [id] of SECTIONS) byId(id).hidden = !opened && id !== "summary" && id !== "verify";
  const links = SECTIONS.filter(([id]) => !byId(id).hidden);
  show(byId("sections"), links.map(([id, name]) => make("a", { href: `#${id}` }, name)));
  byId("sections").hidden = false;
  if (opened) {
    shown.cells = new Cells(reader);
    shown.blocks = new Blocks(reader, summary);
    drawBloom(reader, summary);
    await drawIndex(reader, summary);
    await shown.blocks.read();
  }
  if (shown.reader === reader) byId("page").dataset.state = "open";
}

const THEMES = { auto: "Colours: system", light: "Colours: light", dark: "Colours: dark" };

function setTheme(theme) {
  byId("theme").dataset.theme = theme;
  byId("theme").textContent = THEMES[theme];
  if (theme === "auto") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = theme;
}

function fault(message) {
  byId("fault").textContent = message;
  byId("fault").hidden = false;
}

function start() {
  setTheme("auto");
  byId("theme").addEventListener("click", () => {
    const themes = Object.keys(THEMES);
    setTheme(themes[(themes.indexOf(byId("theme").dataset.theme) + 1) % themes.length]);
  });
  byId("file").addEventListener("change", () => {
    const [file] = byId("file").files;
    // so that the same file can be selected again
    byId("file").value = "";
    if (file) openFile(file);
  });
  for (const name of ["dragenter", "dragover", "dragleave", "drop"]) {
    document.addEventListener(name, (event) => {
      event.preventDefault();
      byId("drop").classList.toggle("over", name === "dragenter" || name === "dragover");
    });
  }
  document.addEventListener("drop", (event) => {
    const [file] = event.dataTransfer.files;
    if (file) openFile(file);
  });
  window.addEventListener("error", (event) => fault(event.message));
  window.addEventListener("unhandledrejection", (event) => fault(String(event.reason)));
  let width = document.documentElement.clientWidth;
  window.addEventListener("resize", () => {
    if (document.documentElement.clientWidth === width) return;
    width = document.documentElement.clientWidth;
    if (byId("page").dataset.state === "open") shown.blocks?.draw();
  });
}

start();

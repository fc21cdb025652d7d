// Reads slices of the file on demand, and lets the module answer requests.

const slices = new FileReaderSync();
let file = null;
let shownAt = 0;
let panic = null;

self.hregion_read = (offset, into) => {
  try {
    const part = new Uint8Array(slices.readAsArrayBuffer(file.slice(offset, offset + into.length)));
    into.set(part);
    return part.length;
  } catch (error) {
    throw `${error.name}: ${error.message}`;
  }
};

self.hregion_progress = (done, all) => {
  const now = Date.now();
  if (now - shownAt < 50) return;
  shownAt = now;
  postMessage({ done, all });
};

self.hregion_panicked = (message) => { panic = message; };

onmessage = ({ data }) => {
  try {
    if (data.file) {
      file = data.file;
      wasm_bindgen.initSync({ module: data.wasm });
      wasm_bindgen.open(file.name, file.size);
    } else {
      postMessage({ id: data.id, answer: wasm_bindgen.answer(data.request) });
    }
  } catch (error) {
    postMessage({ broken: panic ?? String(error) });
    close();
  }
};

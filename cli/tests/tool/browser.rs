//! A headless Chromium, controlled through the DevTools protocol over two pipes.

use serde_json::{Value, json};
use std::fs::{File, OpenOptions};
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::time::{Duration, Instant};

/// The maximum time for an answer.
const PATIENCE: Duration = Duration::from_secs(180);

/// A browser with one page.
pub(crate) struct Browser {
    process: Child,
    commands: File,
    messages: Receiver<Value>,
    session: Option<String>,
    last_id: u64,
    events: Vec<Value>,
    /// Owns the pipes and the profile.
    _dir: tempfile::TempDir,
}

impl Browser {
    /// Starts the browser named by `HREGION_CHROMIUM`, by default `chromium`.
    pub(crate) fn start() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| dir.path().join(name).into_os_string().into_string().unwrap();
        let made = Command::new("mkfifo").args([path("commands"), path("answers")]).status().unwrap();
        assert!(made.success());
        let program = std::env::var("HREGION_CHROMIUM").unwrap_or_else(|_| "chromium".into());
        let process = Command::new("sh")
            .args(["-c", "exec 3<\"$1\" 4>\"$2\"; shift 2; exec \"$@\"", "sh"])
            .args([path("commands"), path("answers"), program])
            .args([
                "--headless",
                "--no-sandbox",
                "--disable-gpu",
                "--disable-dev-shm-usage",
                "--no-first-run",
            ])
            .args(["--hide-scrollbars", "--disable-background-networking", "--remote-debugging-pipe"])
            .arg(format!("--user-data-dir={}", path("profile")))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let commands = OpenOptions::new().write(true).open(path("commands")).unwrap();
        let answers = File::open(path("answers")).unwrap();
        let (send, messages) = mpsc::channel();
        std::thread::spawn(move || {
            for message in BufReader::new(answers).split(0) {
                let Ok(message) = message else { return };
                if send.send(serde_json::from_slice(&message).unwrap()).is_err() {
                    return;
                }
            }
        });
        let events = Vec::new();
        let mut browser = Self { process, commands, messages, session: None, last_id: 0, events, _dir: dir };
        let target = browser.call("Target.createTarget", json!({ "url": "about:blank" }));
        let attach = json!({ "targetId": target["targetId"], "flatten": true });
        let attached = browser.call("Target.attachToTarget", attach);
        browser.session = attached["sessionId"].as_str().map(str::to_owned);
        for domain in ["Page", "Runtime", "Log", "Network"] {
            browser.call(&format!("{domain}.enable"), json!({}));
        }
        // otherwise no element gets focus events
        browser.call("Emulation.setFocusEmulationEnabled", json!({ "enabled": true }));
        browser
    }

    /// Calls a method and returns its result. Events that arrive before it are kept.
    fn call(&mut self, method: &str, params: Value) -> Value {
        self.last_id += 1;
        let mut message = json!({ "id": self.last_id, "method": method, "params": params });
        if let Some(session) = &self.session {
            message["sessionId"] = session.as_str().into();
        }
        self.commands.write_all(format!("{message}\0").as_bytes()).unwrap();
        loop {
            let answer = self.next(method);
            if answer["id"] == self.last_id {
                assert_eq!(answer["error"], Value::Null, "{method}");
                return answer["result"].clone();
            }
            self.events.push(answer);
        }
    }

    fn next(&self, waiting_for: &str) -> Value {
        self.messages.recv_timeout(PATIENCE).unwrap_or_else(|error| panic!("{waiting_for}: {error}"))
    }

    /// Sets the size of the window, in pixels.
    pub(crate) fn size(&mut self, (width, height): (u32, u32)) {
        let size = json!({ "width": width, "height": height, "deviceScaleFactor": 1, "mobile": false });
        self.call("Emulation.setDeviceMetricsOverride", size);
    }

    /// Sets the colours that the user prefers.
    pub(crate) fn prefer(&mut self, theme: &str) {
        let features = json!([{ "name": "prefers-color-scheme", "value": theme }]);
        self.call("Emulation.setEmulatedMedia", json!({ "features": features }));
    }

    /// Opens a file, and waits until it is loaded.
    pub(crate) fn open(&mut self, page: &Path) {
        let before = self.events.len();
        let opened = self.call("Page.navigate", json!({ "url": format!("file://{}", page.display()) }));
        assert_eq!(opened["errorText"], Value::Null);
        let is_loaded = |event: &Value| event["method"] == "Page.loadEventFired";
        while !self.events[before..].iter().any(is_loaded) {
            let event = self.next("Page.loadEventFired");
            self.events.push(event);
        }
    }

    /// Evaluates an expression in the page.
    pub(crate) fn evaluate(&mut self, expression: &str) -> Value {
        let params = json!({ "expression": expression, "returnByValue": true });
        let result = self.call("Runtime.evaluate", params);
        assert_eq!(result["exceptionDetails"], Value::Null, "{expression}");
        result["result"]["value"].clone()
    }

    /// Presses a key, by its name.
    pub(crate) fn key(&mut self, key: &str) {
        for kind in ["keyDown", "keyUp"] {
            self.call("Input.dispatchKeyEvent", json!({ "type": kind, "key": key, "code": key }));
        }
    }

    /// Evaluates an expression until it is true.
    pub(crate) fn wait_until(&mut self, expression: &str) {
        let from = Instant::now();
        while self.evaluate(expression) != true {
            assert!(from.elapsed() < PATIENCE, "{expression}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Chooses a file in an input.
    pub(crate) fn choose(&mut self, selector: &str, file: &Path) {
        let params = json!({ "expression": format!("document.querySelector({})", json!(selector)) });
        let input = self.call("Runtime.evaluate", params);
        let object = &input["result"]["objectId"];
        // the browser refuses paths with ..
        let file = file.canonicalize().unwrap();
        self.call("DOM.setFileInputFiles", json!({ "files": [file], "objectId": object }));
    }

    /// Returns a PNG of the window.
    pub(crate) fn screenshot(&mut self) -> Vec<u8> {
        let taken = self.call("Page.captureScreenshot", json!({ "format": "png" }));
        decode(taken["data"].as_str().unwrap())
    }

    /// Returns a PDF of the page.
    pub(crate) fn print(&mut self) -> Vec<u8> {
        let printed = self.call("Page.printToPDF", json!({ "printBackground": true }));
        decode(printed["data"].as_str().unwrap())
    }

    /// Returns the exceptions, the errors of the console and the dialogs so far.
    pub(crate) fn faults(&self) -> Vec<Value> {
        let is_fault = |event: &&Value| match event["method"].as_str() {
            Some("Runtime.exceptionThrown" | "Page.javascriptDialogOpening") => true,
            Some("Runtime.consoleAPICalled") => event["params"]["type"] == "error",
            Some("Log.entryAdded") => event["params"]["entry"]["level"] == "error",
            _ => false,
        };
        self.events.iter().filter(is_fault).cloned().collect()
    }

    /// Returns the requested addresses.
    pub(crate) fn requests(&self) -> Vec<String> {
        let requests = self.events.iter().filter(|event| event["method"] == "Network.requestWillBeSent");
        requests.map(|event| event["params"]["request"]["url"].as_str().unwrap().to_owned()).collect()
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // the process may have ended by itself
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Decodes Base64.
fn decode(text: &str) -> Vec<u8> {
    let digit = |byte: u8| match byte {
        b'A'..=b'Z' => u32::from(byte - b'A'),
        b'a'..=b'z' => u32::from(byte - b'a') + 26,
        b'0'..=b'9' => u32::from(byte - b'0') + 52,
        b'+' => 62,
        b'/' => 63,
        _ => panic!("no digit: {byte}"),
    };
    let digits: Vec<u8> = text.bytes().filter(|&byte| byte != b'=').collect();
    let chunks = digits.chunks(4).flat_map(|chunk| {
        let word = chunk.iter().fold(0, |word, &byte| word << 6 | digit(byte)) << (6 * (4 - chunk.len()));
        let [_, bytes @ ..] = word.to_be_bytes();
        bytes.into_iter().take(chunk.len() - 1)
    });
    chunks.collect()
}

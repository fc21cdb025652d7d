//! Builds the page: `cargo run --manifest-path web/Cargo.toml -p hregion-web-build [OUT]`.
//!
//! Compiles the library for `wasm32-unknown-unknown`, runs `wasm-bindgen` for its glue, and joins both with
//! the page's style and scripts in one HTML file, by default `hregion.html` in the target directory.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest as _, Sha256};
use std::error::Error;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};
use wasm_bindgen_cli_support::Bindgen;

type Done<T = ()> = Result<T, Box<dyn Error>>;

fn main() -> Done {
    let web = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let target = env::var_os("CARGO_TARGET_DIR").map_or_else(|| web.join("target"), PathBuf::from);
    let out = env::args_os().nth(1).map_or_else(|| target.join("hregion.html"), PathBuf::from);
    let wasm = compile(&web, &target)?;
    let (glue, wasm) = bind(&wasm, &target.join("bound"))?;
    let page = page(&web, &glue, &wasm)?;
    fs::write(&out, &page)?;
    println!("{}: {} KiB, of them WebAssembly {} KiB", out.display(), page.len() >> 10, wasm.len() >> 10);
    Ok(())
}

/// Compiles the library, and returns the path of the module.
fn compile(web: &Path, target: &Path) -> Done<PathBuf> {
    let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let status = Command::new(cargo)
        .args(["rustc", "--lib", "--release", "--crate-type", "cdylib", "--target", "wasm32-unknown-unknown"])
        .args(["--package", "hregion-web", "--manifest-path"])
        .arg(web.join("Cargo.toml"))
        .arg("--target-dir")
        .arg(target)
        .status()?;
    if !status.success() {
        return Err(format!("cargo rustc: {status}").into());
    }
    Ok(target.join("wasm32-unknown-unknown/release/hregion_web.wasm"))
}

/// Returns the glue, a script that defines `wasm_bindgen`, and the module for it.
fn bind(wasm: &Path, dir: &Path) -> Done<(String, Vec<u8>)> {
    let mut bindgen = Bindgen::new();
    bindgen.input_path(wasm).no_modules(true)?.typescript(false).generate(dir)?;
    Ok((fs::read_to_string(dir.join("hregion_web.js"))?, fs::read(dir.join("hregion_web_bg.wasm"))?))
}

/// Joins the parts. The style and the elements are shared with the page of `hregion report`.
fn page(web: &Path, glue: &str, wasm: &[u8]) -> Done<String> {
    let (own, report) = (web.join("page"), web.join("../cli/src/report_page"));
    let read = |dir: &Path, names: &[&str]| -> Done<String> {
        let texts = names.iter().map(|name| {
            let path = dir.join(name);
            fs::read_to_string(&path).map_err(|error| format!("{}: {error}", path.display()).into())
        });
        texts.collect::<Done<Vec<String>>>().map(|texts| texts.concat())
    };
    let style = read(&report, &["style.css"])? + &read(&own, &["page.css"])?;
    let shared = read(&report, &["elements.js", "format.js", "keys.js"])?;
    let script = read(
        &own,
        &["reader.js", "summary.js", "blocks.js", "index.js", "cells.js", "checks.js", "main.js"],
    )?;
    let script = format!("\"use strict\";\n(() => {{\n{shared}{script}}})();\n");
    let worker = format!("{glue}\n{}", read(&own, &["worker.js"])?);
    let parts = [
        ("{script-hash}", hash(&script)),
        ("{style-hash}", hash(&style)),
        ("{style}", style),
        ("{worker}", STANDARD.encode(worker)),
        ("{wasm}", STANDARD.encode(wasm)),
        ("{script}", script),
    ];
    let template = read(&own, &["page.html"])?;
    let (mut page, mut rest) = (String::new(), template.as_str());
    for (place, content) in &parts {
        // each part is searched for after the previous one, so that no content is mistaken for a placeholder
        let (before, after) = rest.split_once(place).ok_or_else(|| format!("page.html has no {place}"))?;
        page += before;
        page += content;
        rest = after;
    }
    Ok(page + rest)
}

/// Returns the hash of a script or style for a content security policy.
fn hash(text: &str) -> String {
    format!("sha256-{}", STANDARD.encode(Sha256::digest(text.as_bytes())))
}

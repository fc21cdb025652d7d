//! Files of a client of a running cluster.
#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

use std::fs;
use std::path::Path;
use std::process::Command;

/// Writes a file as `hbase-site.xml`.
pub(crate) fn write_site(path: &Path, properties: &[(&str, &str)]) {
    let property = |(name, value): &(&str, &str)| {
        format!("<property><name>{name}</name><value>{value}</value></property>")
    };
    let properties: String = properties.iter().map(property).collect();
    fs::write(path, format!("<configuration>{properties}</configuration>")).unwrap();
}

/// Runs Java's tool for key stores.
pub(crate) fn keytool(dir: &Path, args: &[&str]) {
    let password = ["-storepass", "password", "-noprompt"];
    let output = Command::new("keytool").current_dir(dir).args(args).args(password).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
}

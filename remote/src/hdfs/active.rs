//! Settings with which the active name node answers all requests.
//!
//! An observer may lag behind it: what that says of a change that had no answer may be wrong.

use crate::location::Location;
use crate::options::RemoteOptions;
use std::collections::BTreeSet;
use std::env::{self, VarError};
use std::path::{Path, PathBuf};
use std::{fs, io};

/// The setting that says which name nodes of a name service are asked, before the name of that.
const PROVIDER: &str = "dfs.client.failover.proxy.provider.";

/// Its value for the active one.
const ACTIVE: &str = "org.apache.hadoop.hdfs.server.namenode.ha.ConfiguredFailoverProxyProvider";

/// Returns the settings of the client of a name service: those given, and the provider.
///
/// # Errors
///
/// If a file of Hadoop's settings is there, but cannot be read.
pub(super) fn settings(location: &Location, options: &RemoteOptions) -> io::Result<Vec<(String, String)>> {
    settings_with(location, options, conf_dir(env::var)?.as_deref())
}

/// Returns the directory of Hadoop's files, as the client does, which passes over a name that is not UTF-8.
fn conf_dir(variable: impl Fn(&'static str) -> Result<String, VarError>) -> io::Result<Option<PathBuf>> {
    for (name, below) in [("HADOOP_CONF_DIR", ""), ("HADOOP_HOME", "etc/hadoop")] {
        match variable(name) {
            Ok(dir) => return Ok(Some(Path::new(&dir).join(below))),
            Err(VarError::NotPresent) => {}
            Err(VarError::NotUnicode(_)) => return Err(io::Error::other(format!("{name} is not UTF-8"))),
        }
    }
    Ok(None)
}

/// The default file system may be any name service, or several: all that have a provider get this one. A name
/// too many changes nothing.
fn settings_with(
    location: &Location,
    options: &RemoteOptions,
    conf_dir: Option<&Path>,
) -> io::Result<Vec<(String, String)>> {
    let given = options.settings_of(&["dfs.", "fs.", "hadoop.", "ipc."]);
    let mut settings: Vec<_> = given.map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
    let host = location.authority.split(':').next().unwrap_or_default();
    let mut services = BTreeSet::from([host.to_owned()]);
    services.extend(settings.iter().filter_map(|(name, _)| name.strip_prefix(PROVIDER)).map(str::to_owned));
    for file in conf_dir.iter().flat_map(|dir| ["core-site.xml", "hdfs-site.xml"].map(|file| dir.join(file)))
    {
        let text = text_of(&file)?;
        services.extend(text.split(PROVIDER).skip(1).map(|rest| name_at(rest).to_owned()));
    }
    settings.extend(services.into_iter().map(|service| (PROVIDER.to_owned() + &service, ACTIVE.to_owned())));
    Ok(settings)
}

/// Returns the text of a file of settings, which need not exist. The client also passes over one in a
/// directory that it may not search.
fn text_of(path: &Path) -> io::Result<String> {
    match fs::read_to_string(path) {
        Ok(text) => Ok(text),
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
            Ok(String::new())
        }
        Err(error) => Err(io::Error::other(format!("cannot read {}: {error}", path.display()))),
    }
}

/// Returns the name that a text begins with.
fn name_at(text: &str) -> &str {
    text.split(|c: char| c == '<' || c.is_whitespace()).next().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    const OBSERVER: &str = "org.apache.hadoop.hdfs.server.namenode.ha.ObserverReadProxyProvider";

    /// Returns the settings, of which the last one of a name counts.
    fn settings_of(url: &str, options: &RemoteOptions, conf_dir: Option<&Path>) -> BTreeMap<String, String> {
        let settings = settings_with(&Location::parse(Path::new(url)).unwrap(), options, conf_dir);
        settings.unwrap().into_iter().collect()
    }

    #[test]
    fn no_observer_is_asked() {
        let provider = |service: &str| format!("{PROVIDER}{service}");
        let options = RemoteOptions::default().setting(provider("given"), OBSERVER);
        let options = options.setting("dfs.replication", "2");
        let dir = tempfile::tempdir().unwrap();
        let file = format!(
            "<configuration>\n<property><name>{}</name><value>{OBSERVER}</value></property>\n<property>\n\
             <name>{}\n</name><value>{OBSERVER}</value></property></configuration>",
            provider("first"),
            provider("second"),
        );
        fs::write(dir.path().join("hdfs-site.xml"), file).unwrap();
        for (url, service) in [("hdfs://ns/a", "ns"), ("hdfs://host:8020/a", "host"), ("hdfs:///a", "first")]
        {
            let settings = settings_of(url, &options, Some(dir.path()));
            for service in [service, "given", "first", "second"] {
                assert_eq!(settings.get(&provider(service)).map(String::as_str), Some(ACTIVE), "{service}");
            }
            assert_eq!(settings["dfs.replication"], "2");
        }
        let settings = settings_of("hdfs://ns/a", &options, None);
        assert_eq!((settings.len(), settings[&provider("ns")].as_str()), (3, ACTIVE));
    }

    /// An observer that such a file names would be asked, or none of its settings would be in effect.
    #[test]
    fn files_that_cannot_be_read_are_not_passed_over() {
        let location = Location::parse(Path::new("hdfs://ns/a")).unwrap();
        let with = |dir: &Path| settings_with(&location, &RemoteOptions::default(), Some(dir));
        for file in ["core-site.xml", "hdfs-site.xml"] {
            let dir = tempfile::tempdir().unwrap();
            assert_eq!(with(&dir.path().join("missing")).unwrap().len(), 1);
            assert_eq!(with(dir.path()).unwrap().len(), 1);
            let path = dir.path().join(file);
            fs::create_dir(&path).unwrap();
            let error = with(dir.path()).unwrap_err().to_string();
            assert!(error.contains(path.to_str().unwrap()), "{error}");
            fs::remove_dir(&path).unwrap();
            fs::write(&path, b"<configuration>\xff</configuration>").unwrap();
            let error = with(dir.path()).unwrap_err().to_string();
            assert!(error.contains(file) && error.contains("UTF-8"), "{error}");
            // the directory is a file: there are no settings
            assert_eq!(with(&path).unwrap().len(), 1);
        }
    }

    #[test]
    fn the_directory_of_settings_is_that_of_the_client() {
        let with = |conf: Result<&str, VarError>, home: Result<&str, VarError>| {
            let found = conf_dir(|name| match name {
                "HADOOP_CONF_DIR" => conf.clone().map(str::to_owned),
                _ => home.clone().map(str::to_owned),
            });
            found.map(|dir| dir.map(|dir| dir.join("f"))).map_err(|error| error.to_string())
        };
        let (none, wrong) = (|| Err(VarError::NotPresent), || Err(VarError::NotUnicode("x".into())));
        assert_eq!(with(none(), none()), Ok(None));
        assert_eq!(with(Ok("/c"), Ok("/h")), Ok(Some("/c/f".into())));
        assert_eq!(with(none(), Ok("/h")), Ok(Some("/h/etc/hadoop/f".into())));
        assert_eq!(with(wrong(), Ok("/h")), Err("HADOOP_CONF_DIR is not UTF-8".to_owned()));
        assert_eq!(with(none(), wrong()), Err("HADOOP_HOME is not UTF-8".to_owned()));
    }
}

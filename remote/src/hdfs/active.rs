//! Settings with which the active name node answers all requests.
//!
//! An observer may lag behind it: what that says of a change that had no answer may be wrong.

use crate::location::Location;
use crate::options::RemoteOptions;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::{env, fs};

/// The setting that says which name nodes of a name service are asked, before the name of that.
const PROVIDER: &str = "dfs.client.failover.proxy.provider.";

/// Its value for the active one.
const ACTIVE: &str = "org.apache.hadoop.hdfs.server.namenode.ha.ConfiguredFailoverProxyProvider";

/// Returns the settings of the client of a name service: those given, and the provider.
pub(super) fn settings(location: &Location, options: &RemoteOptions) -> Vec<(String, String)> {
    settings_with(location, options, conf_dir().as_deref())
}

/// Returns the directory of Hadoop's files, as the client does.
fn conf_dir() -> Option<PathBuf> {
    let home = || env::var_os("HADOOP_HOME").map(|home| Path::new(&home).join("etc/hadoop"));
    env::var_os("HADOOP_CONF_DIR").map(PathBuf::from).or_else(home)
}

/// The default file system may be any name service, or several: all that have a provider get this one. A name
/// too many changes nothing.
fn settings_with(
    location: &Location,
    options: &RemoteOptions,
    conf_dir: Option<&Path>,
) -> Vec<(String, String)> {
    let given = options.settings_of(&["dfs.", "fs.", "hadoop.", "ipc."]);
    let mut settings: Vec<_> = given.map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
    let host = location.authority.split(':').next().unwrap_or_default();
    let mut services = BTreeSet::from([host.to_owned()]);
    services.extend(settings.iter().filter_map(|(name, _)| name.strip_prefix(PROVIDER)).map(str::to_owned));
    for file in ["core-site.xml", "hdfs-site.xml"] {
        // The client fails if there is a file that cannot be read.
        let text = conf_dir.and_then(|dir| fs::read_to_string(dir.join(file)).ok()).unwrap_or_default();
        services.extend(text.split(PROVIDER).skip(1).map(|rest| name_at(rest).to_owned()));
    }
    settings.extend(services.into_iter().map(|service| (PROVIDER.to_owned() + &service, ACTIVE.to_owned())));
    settings
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
        settings_with(&Location::parse(Path::new(url)).unwrap(), options, conf_dir).into_iter().collect()
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
}

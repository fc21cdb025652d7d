//! The engines, and the only place where a name is mapped to a type.

#[cfg(feature = "fjall")]
pub mod fjall;
pub mod hregion;
#[cfg(feature = "lmdb")]
pub mod lmdb;
#[cfg(feature = "fjall")]
pub mod lsm;
#[cfg(feature = "redb")]
pub mod redb;
#[cfg(feature = "rocksdb")]
pub mod rocks;

/// Calls `$f::<Engine>($arg...)` for the engine called `$name`.
#[macro_export]
macro_rules! dispatch {
    ($name:expr, $($f:ident)::+, $($arg:expr),*) => {
        match $name {
            "hregion" => $($f)::+::<$crate::engines::hregion::Hregion>($($arg),*),
            #[cfg(feature = "rocksdb")]
            "rocksdb" => $($f)::+::<$crate::engines::rocks::Rocks>($($arg),*),
            #[cfg(feature = "fjall")]
            "lsm-tree" => $($f)::+::<$crate::engines::lsm::Lsm>($($arg),*),
            #[cfg(feature = "fjall")]
            "fjall" => $($f)::+::<$crate::engines::fjall::Fjall>($($arg),*),
            #[cfg(feature = "redb")]
            "redb" => $($f)::+::<$crate::engines::redb::Redb>($($arg),*),
            #[cfg(feature = "lmdb")]
            "lmdb" => $($f)::+::<$crate::engines::lmdb::Lmdb>($($arg),*),
            other => Err(anyhow::anyhow!("no engine is called {other} in this build")),
        }
    };
}

/// The names that `dispatch!` supports in this build.
pub fn names() -> Vec<&'static str> {
    let all = [
        ("hregion", true),
        ("rocksdb", cfg!(feature = "rocksdb")),
        ("lsm-tree", cfg!(feature = "fjall")),
        ("fjall", cfg!(feature = "fjall")),
        ("redb", cfg!(feature = "redb")),
        ("lmdb", cfg!(feature = "lmdb")),
    ];
    all.into_iter().filter(|(_, built)| *built).map(|(name, _)| name).collect()
}

/// The version of a dependency, from the lock file of this build.
pub fn crate_version(name: &str) -> &'static str {
    let lock = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.lock"));
    let head = format!("name = \"{name}\"");
    let mut lines = lock.lines().skip_while(|l| *l != head).skip(1);
    lines.next().and_then(|l| l.strip_prefix("version = ")).map_or("", |v| v.trim_matches('"'))
}

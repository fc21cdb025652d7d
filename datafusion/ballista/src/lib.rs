//! SQL over HBase's tables and snapshots on several machines, by Apache Ballista.
//!
//! Ballista's scheduler and executors are started with the codec of `hregion-datafusion` ([`HregionCodec`]),
//! so that plans that read hregion's tables can be sent. A table is sent as its path or URL, which each
//! executor opens itself: the files must be the same for all of them, such as those of a snapshot.
//! [`TargetOptions`], such as master keys, are not sent: each process needs its own.
//!
//! ```no_run
//! use hregion_ballista::connect;
//! use hregion_arrow::Layout;
//! use hregion_datafusion::{Target, TargetOptions};
//! use std::sync::Arc;
//!
//! # #[tokio::main]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let context = connect("df://scheduler:50050", TargetOptions::default()).await?;
//! let target = Target::open("/hbase/.hbase-snapshot/monday", TargetOptions::default())?;
//! context.register_table("t", Arc::new(target.table(Layout::Cells)?))?;
//! context.sql("SELECT count(*) FROM t").await?.show().await?;
//! # Ok(())
//! # }
//! ```

mod losses;

use ballista::prelude::{SessionConfigExt, SessionContextExt};
use ballista_core::error::Result as BallistaResult;
use ballista_core::serde::{BallistaLogicalExtensionCodec, BallistaPhysicalExtensionCodec};
use ballista_executor::executor_process::{ExecutorProcessConfig, start_executor_process};
use ballista_scheduler::cluster::BallistaCluster;
use ballista_scheduler::config::SchedulerConfig;
use ballista_scheduler::scheduler_process::{create_scheduler, start_grpc_service};
use datafusion::error::Result;
use datafusion::execution::SessionStateBuilder;
use datafusion::execution::context::{SessionConfig, SessionContext};
use hregion_datafusion::{HregionCodec, TargetOptions};
use losses::{Losses, Scheduler};
use std::net::SocketAddr;
use std::sync::Arc;

/// Returns the codec for hregion's tables and for Ballista's other messages.
#[must_use]
pub fn codec(options: TargetOptions) -> Arc<HregionCodec> {
    let logical = Arc::new(BallistaLogicalExtensionCodec::default());
    Arc::new(HregionCodec::new(options).over(logical, Arc::new(BallistaPhysicalExtensionCodec::default())))
}

/// Returns the settings of a session whose plans may read hregion's tables.
#[must_use]
pub fn session_config(options: TargetOptions) -> SessionConfig {
    let codec = codec(options);
    let config = SessionConfig::new_with_ballista().with_ballista_logical_extension_codec(codec.clone());
    config.with_ballista_physical_extension_codec(codec)
}

/// Connects to a scheduler, `df://HOST:PORT`, that was started [with the codec](run_scheduler).
///
/// # Errors
///
/// If the URL is invalid.
pub async fn connect(scheduler: &str, options: TargetOptions) -> Result<SessionContext> {
    connect_with(scheduler, session_config(options)).await
}

/// Connects to a scheduler, with settings derived from [`session_config`].
///
/// # Errors
///
/// If the URL is invalid.
pub async fn connect_with(scheduler: &str, config: SessionConfig) -> Result<SessionContext> {
    let state = SessionStateBuilder::new().with_config(config).with_default_features().build();
    SessionContext::remote_with_state(scheduler, state).await
}

/// Starts a scheduler and an executor in this process.
///
/// # Errors
///
/// If they cannot be started.
pub async fn standalone(options: TargetOptions) -> Result<SessionContext> {
    let state =
        SessionStateBuilder::new().with_config(session_config(options)).with_default_features().build();
    SessionContext::standalone_with_state(state).await
}

/// Runs Ballista's scheduler with the codec and the other settings in `config`.
///
/// A query during which an executor is lost fails, for every client, with an error that names the executor:
/// Ballista 55 would compute the lost results again, which is not reliable. No task or stage is repeated. A
/// lost executor cannot register again. A query ends when its client disconnects.
///
/// # Errors
///
/// If executors are configured to pull tasks, as a query might then continue after a loss. Ballista's errors,
/// such as an address that is in use.
pub async fn run_scheduler(
    address: SocketAddr,
    config: SchedulerConfig,
    options: TargetOptions,
) -> BallistaResult<()> {
    let codec = codec(options);
    let config = SchedulerConfig {
        bind_host: address.ip().to_string(),
        bind_port: address.port(),
        override_logical_codec: Some(codec.clone()),
        override_physical_codec: Some(codec),
        ..losses::limits(config)?
    };
    config.validate()?;
    let losses = Losses::of(&BallistaCluster::new_from_config(&config).await?);
    let scheduler: Arc<Scheduler> = Arc::new(create_scheduler(losses.cluster(), Arc::new(config)).await?);
    losses.end_by(&scheduler);
    start_grpc_service(address, Scheduler::clone(&scheduler)).await
}

/// Runs Ballista's executor with the codec and the other settings in `config`.
///
/// # Errors
///
/// Ballista's errors, such as a scheduler that does not answer.
pub async fn run_executor(config: ExecutorProcessConfig, options: TargetOptions) -> BallistaResult<()> {
    let codec = codec(options);
    let config = ExecutorProcessConfig {
        override_logical_codec: Some(codec.clone()),
        override_physical_codec: Some(codec),
        ..config
    };
    start_executor_process(Arc::new(config)).await
}

//! Ends queries during which an executor is lost, or whose client has disconnected.
//!
//! Ballista 55 computes the results of a lost executor again. A query may then wait forever, and wrong rows
//! have been observed. This module prevents the repetition:
//!
//! - A task or stage that fails, for example because it cannot fetch results, fails the query at once
//!   ([`limits`]).
//! - Ballista considers an executor lost when it removes it from the state of the cluster, and begins to
//!   recover through an event that it posts after that. [`Executors`] posts the end of all running queries
//!   before the removal returns. These events are processed first, so nothing remains to be recovered.
//! - A query that begins later has no task there: tasks are bound to executors in the state of the cluster,
//!   under a lock that the removal takes, and a removed executor is not registered again.
//! - A query that succeeds in between fails in [`Jobs`], from which clients get its status.

use ballista_core::config::TaskSchedulingPolicy;
use ballista_core::error::{BallistaError, Result};
use ballista_core::serde::protobuf::failed_task::FailedReason;
use ballista_core::serde::protobuf::job_status::Status;
use ballista_core::serde::protobuf::{ExecutorHeartbeat, FailedTask, JobStatus, task_status};
use ballista_core::serde::scheduler::{ExecutorData, ExecutorMetadata};
use ballista_core::{JobId, JobStatusSubscriber};
use ballista_scheduler::cluster::{
    BallistaCluster, BoundTask, ClusterState, ClusterStateEventStream, ExecutorSlot, JobState,
    JobStateEventStream,
};
use ballista_scheduler::config::{SchedulerConfig, TaskDistributionPolicy};
use ballista_scheduler::scheduler_server::SchedulerServer;
use ballista_scheduler::state::execution_graph::ExecutionGraphBox;
use ballista_scheduler::state::task_manager::JobInfoCache;
use datafusion::execution::context::{SessionConfig, SessionContext};
use datafusion_proto::protobuf::{LogicalPlanNode, PhysicalPlanNode};
use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};

pub(crate) type Scheduler = SchedulerServer<LogicalPlanNode, PhysicalPlanNode>;

/// Returns settings that prevent the repetition of tasks and stages.
///
/// # Errors
///
/// If executors are configured to pull tasks, which are then not bound under the lock of the cluster's state.
pub(crate) fn limits(config: SchedulerConfig) -> Result<SchedulerConfig> {
    if matches!(config.scheduling_policy, TaskSchedulingPolicy::PullStaged) {
        let text = "executors that pull tasks are not supported: their loss could lead to wrong answers";
        return Err(BallistaError::Configuration(text.to_owned()));
    }
    Ok(SchedulerConfig { task_max_failures: 1, stage_max_failures: 1, ..config })
}

/// The running queries.
#[derive(Default)]
struct Running {
    /// Each with the loss that occurred while it ran.
    jobs: Mutex<HashMap<JobId, Option<String>>>,
    scheduler: OnceLock<Weak<Scheduler>>,
}

impl Running {
    fn jobs(&self) -> MutexGuard<'_, HashMap<JobId, Option<String>>> {
        self.jobs.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Marks all queries. Returns the newly marked ones.
    fn lose(&self, what: &str) -> Vec<JobId> {
        let mut marked = Vec::new();
        for (job, lost) in self.jobs().iter_mut() {
            if lost.is_none() {
                *lost = Some(what.to_owned());
                marked.push(job.clone());
            }
        }
        marked
    }

    /// Posts the end of a query.
    async fn end(&self, job: JobId) {
        if let Some(scheduler) = self.scheduler.get().and_then(Weak::upgrade)
            && let Err(error) = scheduler.cancel_job(job.clone()).await
        {
            log::error!("cannot end query {job}: {error}");
        }
    }
}

/// Ends queries when an executor is lost. Requires the scheduler, which is created after the cluster.
pub(crate) struct Losses {
    executors: Arc<Executors>,
    cluster: BallistaCluster,
}

impl Losses {
    pub(crate) fn of(cluster: &BallistaCluster) -> Self {
        let running = Arc::new(Running::default());
        let executors = Arc::new(Executors {
            inner: cluster.cluster_state(),
            running: Arc::clone(&running),
            lost: tokio::sync::Mutex::default(),
        });
        let jobs = Arc::new(Jobs { inner: cluster.job_state(), running });
        let cluster = BallistaCluster::new(Arc::clone(&executors) as Arc<dyn ClusterState>, jobs);
        Self { executors, cluster }
    }

    pub(crate) fn cluster(&self) -> BallistaCluster {
        self.cluster.clone()
    }

    /// Sets the scheduler that ends queries, which must be the one of [`Losses::cluster`].
    pub(crate) fn end_by(&self, scheduler: &Arc<Scheduler>) {
        // set once
        drop(self.executors.running.scheduler.set(Arc::downgrade(scheduler)));
    }
}

struct Executors {
    inner: Arc<dyn ClusterState>,
    running: Arc<Running>,
    /// The removed executors. Locked during each registration and removal.
    lost: tokio::sync::Mutex<HashSet<String>>,
}

fn unless_lost(lost: &HashSet<String>, executor: &str) -> Result<()> {
    if lost.contains(executor) {
        let text = format!("executor {executor} was lost, and is not accepted again: start another one");
        return Err(BallistaError::General(text));
    }
    Ok(())
}

#[async_trait::async_trait]
impl ClusterState for Executors {
    async fn init(&self) -> Result<()> {
        self.inner.init().await
    }

    async fn bind_schedulable_tasks(
        &self,
        distribution: TaskDistributionPolicy,
        active_jobs: Arc<HashMap<JobId, JobInfoCache>>,
        executors: Option<HashSet<String>>,
    ) -> Result<Vec<BoundTask>> {
        self.inner.bind_schedulable_tasks(distribution, active_jobs, executors).await
    }

    async fn unbind_tasks(&self, executor_slots: Vec<ExecutorSlot>) -> Result<()> {
        self.inner.unbind_tasks(executor_slots).await
    }

    async fn register_executor(&self, metadata: ExecutorMetadata, spec: ExecutorData) -> Result<()> {
        let lost = self.lost.lock().await;
        unless_lost(&lost, &metadata.id)?;
        self.inner.register_executor(metadata, spec).await
    }

    async fn save_executor_metadata(&self, metadata: ExecutorMetadata) -> Result<()> {
        let lost = self.lost.lock().await;
        unless_lost(&lost, &metadata.id)?;
        self.inner.save_executor_metadata(metadata).await
    }

    async fn get_executor_metadata(&self, executor_id: &str) -> Result<ExecutorMetadata> {
        self.inner.get_executor_metadata(executor_id).await
    }

    async fn registered_executor_metadata(&self) -> Vec<ExecutorMetadata> {
        self.inner.registered_executor_metadata().await
    }

    async fn save_executor_heartbeat(&self, heartbeat: ExecutorHeartbeat) -> Result<()> {
        let lost = self.lost.lock().await;
        unless_lost(&lost, &heartbeat.executor_id)?;
        self.inner.save_executor_heartbeat(heartbeat).await
    }

    async fn remove_executor(&self, executor_id: &str) -> Result<()> {
        let mut lost = self.lost.lock().await;
        let place = match self.inner.get_executor_metadata(executor_id).await {
            Ok(executor) => format!(" ({}:{})", executor.host, executor.port),
            Err(_) => String::new(),
        };
        let is_new = lost.insert(executor_id.to_owned());
        let removed = self.inner.remove_executor(executor_id).await;
        if is_new {
            let text = format!("executor {executor_id}{place} was lost during the query: repeat it");
            for job in self.running.lose(&text) {
                log::warn!("query {job}: {text}");
                self.running.end(job).await;
            }
        }
        removed
    }

    fn executor_heartbeats(&self) -> HashMap<String, ExecutorHeartbeat> {
        self.inner.executor_heartbeats()
    }

    fn get_executor_heartbeat(&self, executor_id: &str) -> Option<ExecutorHeartbeat> {
        self.inner.get_executor_heartbeat(executor_id)
    }

    async fn cluster_state_events(&self) -> Result<ClusterStateEventStream> {
        self.inner.cluster_state_events().await
    }
}

/// Returns a description of the missing results, if they are the reason that a query failed.
fn unfetched(graph: &ExecutionGraphBox) -> Option<String> {
    let Some(Status::Failed(failure)) = &graph.status().status else { return None };
    let tasks = graph.stages().values().filter_map(|stage| stage.task_infos()).flatten();
    let executor = tasks.into_iter().find_map(|task| match &task.task_status {
        task_status::Status::Failed(FailedTask {
            failed_reason: Some(FailedReason::FetchPartitionError(lacking)),
            ..
        }) => Some(&lacking.executor_id),
        _ => None,
    })?;
    let error = &failure.error;
    Some(format!("results of executor {executor} could not be fetched, repeat the query: {error}"))
}

struct Jobs {
    inner: Arc<dyn JobState>,
    running: Arc<Running>,
}

#[async_trait::async_trait]
impl JobState for Jobs {
    fn accept_job(&self, job_id: &JobId, job_name: &str, queued_at: u64) -> Result<()> {
        self.inner.accept_job(job_id, job_name, queued_at)
    }

    fn pending_job_number(&self) -> usize {
        self.inner.pending_job_number()
    }

    async fn submit_job(
        &self,
        job_id: JobId,
        graph: &ExecutionGraphBox,
        subscriber: Option<JobStatusSubscriber>,
    ) -> Result<()> {
        // before the query has tasks
        self.running.jobs().insert(job_id.clone(), None);
        let client = subscriber.clone();
        let submitted = self.inner.submit_job(job_id.clone(), graph, subscriber).await;
        if submitted.is_err() {
            self.running.jobs().remove(&job_id);
        } else if let Some(client) = client {
            // ends the query if its client has disconnected, or its time limit has passed
            let running = Arc::clone(&self.running);
            tokio::spawn(async move {
                client.closed().await;
                if running.jobs().contains_key(&job_id) {
                    running.end(job_id).await;
                }
            });
        }
        submitted
    }

    async fn get_jobs(&self) -> Result<HashSet<JobId>> {
        self.inner.get_jobs().await
    }

    async fn get_all_jobs(&self) -> Result<HashSet<JobId>> {
        self.inner.get_all_jobs().await
    }

    async fn get_job_status(&self, job_id: &JobId) -> Result<Option<JobStatus>> {
        self.inner.get_job_status(job_id).await
    }

    async fn get_execution_graph(&self, job_id: &JobId) -> Result<Option<ExecutionGraphBox>> {
        self.inner.get_execution_graph(job_id).await
    }

    async fn save_job(&self, job_id: &JobId, graph: &ExecutionGraphBox) -> Result<()> {
        let lost = match &graph.status().status {
            // clients are notified after this
            Some(Status::Successful(_) | Status::Failed(_)) => self.running.jobs().remove(job_id).flatten(),
            _ => return self.inner.save_job(job_id, graph).await,
        };
        let Some(text) = lost.or_else(|| unfetched(graph)) else {
            return self.inner.save_job(job_id, graph).await;
        };
        let mut failed = graph.cloned();
        failed.fail_job(text);
        self.inner.save_job(job_id, &failed).await
    }

    async fn fail_unscheduled_job(&self, job_id: &JobId, reason: String) -> Result<()> {
        self.inner.fail_unscheduled_job(job_id, reason).await
    }

    async fn remove_job(&self, job_id: &JobId) -> Result<()> {
        self.inner.remove_job(job_id).await
    }

    async fn try_acquire_job(&self, job_id: &JobId) -> Result<Option<ExecutionGraphBox>> {
        self.inner.try_acquire_job(job_id).await
    }

    async fn job_state_events(&self) -> Result<JobStateEventStream> {
        self.inner.job_state_events().await
    }

    async fn create_or_update_session(
        &self,
        session_id: &str,
        config: &SessionConfig,
    ) -> Result<Arc<SessionContext>> {
        self.inner.create_or_update_session(session_id, config).await
    }

    async fn remove_session(&self, session_id: &str) -> Result<()> {
        self.inner.remove_session(session_id).await
    }

    fn produce_config(&self) -> SessionConfig {
        self.inner.produce_config()
    }
}

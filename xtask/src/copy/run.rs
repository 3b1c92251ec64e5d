//! Copies every job to all its destinations, each registry host at its own pace.
//!
//! There is one [`CopyResult`] for each destination of each job, whatever happens.

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard};

use futures_util::future::join_all;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use super::blob_cache::BlobCache;
use super::job::{Job, Options};
use super::limits::LOOKS;
use super::referrers::KnownReferrers;
use super::registry_host::RegistryHost;
use super::result::{CopyResult, CopyStatus, Event, Listener};
use super::source::SourceImage;
use super::task::Task;
use super::with_referrers;
use crate::oci::RepositoryName;

/// Tasks for one registry host. Tokio does not poll tasks in the order they were spawned, so whichever gets a permit
/// runs the oldest entry.
struct HostQueue {
    /// As many as copies at first; more while what is looked at is in place.
    looks: Semaphore,
    /// By how many places `looks` may still grow.
    spare_looks: AtomicUsize,
    copies: Semaphore,
    waiting: Mutex<VecDeque<Waiting>>,
}

/// A task, with the place of its result and what is known of its image's referrers.
type Waiting = (usize, Task, Arc<KnownReferrers>);

impl HostQueue {
    /// For so many copies at once; at least one.
    fn new(copies: usize) -> HostQueue {
        let copies = copies.max(1);
        HostQueue {
            looks: Semaphore::new(copies),
            spare_looks: AtomicUsize::new(LOOKS.saturating_sub(copies)),
            copies: Semaphore::new(copies),
            waiting: Mutex::default(),
        }
    }

    /// An image was in place, which cost hardly anything: two more may be looked at.
    fn widen(&self) {
        let take = |spare: usize| Some(spare.saturating_sub(2));
        let spare = self.spare_looks.fetch_update(Relaxed, Relaxed, take);
        self.looks.add_permits(spare.unwrap_or_default().min(2));
    }

    fn waiting(&self) -> MutexGuard<'_, VecDeque<Waiting>> {
        self.waiting.lock().expect("no holder panics")
    }
}

/// Copies every job to all its destinations, which are started and returned in the order of the jobs. When `cancel`
/// completes, unfinished copies have failed. Uploads that did not end are cancelled.
pub async fn run(
    jobs: Vec<Job>,
    options: &Options,
    listener: Arc<dyn Listener>,
    cancel: impl Future<Output = ()>,
) -> Vec<CopyResult> {
    let mut tags_in_repository: HashMap<RepositoryName, usize> = HashMap::new();
    let mut queues: HashMap<String, Arc<HostQueue>> = HashMap::new();
    let mut hosts: HashMap<String, Arc<RegistryHost>> = HashMap::new();
    for destination in jobs.iter().flat_map(|job| &job.destinations) {
        *tags_in_repository
            .entry(destination.repository.clone())
            .or_default() += destination.tags.len();
        let host = &destination.host;
        hosts.insert(host.name.clone(), Arc::clone(host));
        let queue = || Arc::new(HostQueue::new(options.concurrency));
        queues.entry(host.name.clone()).or_insert_with(queue);
    }
    let cache = BlobCache::new(Arc::clone(&listener));
    let options = Arc::new(options.clone());
    let mut results = Vec::new();
    let mut tasks = JoinSet::new();
    for job in jobs {
        let destinations = job.destinations.clone();
        let image = SourceImage::new(job, Arc::clone(&cache), options.retries);
        let referrers = Arc::new(KnownReferrers::default());
        for destination in destinations {
            let index = results.len();
            results.push(CopyResult::unfinished(&image.job, &destination));
            let task = Task {
                tags_in_repository: tags_in_repository[&destination.repository],
                image: Arc::clone(&image),
                options: Arc::clone(&options),
                listener: Arc::clone(&listener),
                before: Mutex::default(),
                destination,
            };
            let queue = Arc::clone(&queues[&task.destination.host.name]);
            queue
                .waiting()
                .push_back((index, task, Arc::clone(&referrers)));
            tasks.spawn(async move {
                let _place = queue.looks.acquire().await;
                let next = queue.waiting().pop_front();
                let (index, task, known) = next.expect("each task adds one entry and takes one");
                // Boxed, so that the thousands that may wait take little memory.
                let copy = Box::pin(with_referrers::run(task, &known, &queue.copies));
                let result = copy.await;
                if result.status == CopyStatus::Equal {
                    queue.widen();
                }
                (index, result)
            });
        }
    }
    let mut cancel = std::pin::pin!(cancel);
    let reason = loop {
        tokio::select! {
            biased;
            () = &mut cancel => break "interrupted",
            ended = tasks.join_next() => match ended {
                Some(Ok((index, result))) => {
                    listener.on_event(Event::Finished { result: &result });
                    results[index] = result;
                }
                // A panic, which the panic hook has printed.
                Some(Err(_)) => {}
                None => break "internal error",
            }
        }
    };
    while let Some(ended) = tasks.try_join_next() {
        if let Ok((index, result)) = ended {
            results[index] = result;
        }
    }
    tasks.shutdown().await;
    join_all(hosts.values().map(|host| host.cancel_uploads())).await;
    for result in &mut results {
        if result.status == CopyStatus::Failed && result.reason.is_none() {
            result.reason = Some(reason.to_owned());
        }
    }
    results
}

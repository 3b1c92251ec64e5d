//! Every job to every place: each destination at its own pace, each image at each place with its own status.
//!
//! Invariant: there is one [`CopyResult`] for each place of each job, whatever happens.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use super::blob_cache::BlobCache;
use super::job::{Destination, Job};
use super::result::{CopyResult, CopyStatus, Event, Listener};
use super::source::SourceImage;
use super::task::Task;

/// Whether anything is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    Apply,
    DryRun,
}

/// How a run goes about it.
#[derive(Clone, Debug)]
pub struct Options {
    pub mode: Mode,
    /// Images that are on their way to one destination at once; at least one.
    pub concurrency: usize,
    /// Further tries of an upload.
    pub retries: u32,
    /// For one image at one place.
    pub timeout: Option<Duration>,
    /// Moves everything, whatever is there.
    pub force: bool,
}

/// What is on its way to one destination, and what waits in line: the runtime wakes who it likes, so who has the turn
/// takes the first.
struct DestinationQueue {
    open: Semaphore,
    line: Mutex<VecDeque<(usize, Task)>>,
}

impl DestinationQueue {
    fn new(width: usize) -> Self {
        Self {
            open: Semaphore::new(width.max(1)),
            line: Mutex::default(),
        }
    }

    fn line(&self) -> MutexGuard<'_, VecDeque<(usize, Task)>> {
        self.line.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Copies every job to all its places, which are taken up and returned in the order of the jobs. When `cancel`
/// completes, what has not ended has failed.
pub async fn run(
    jobs: Vec<Job>,
    options: &Options,
    listener: Arc<dyn Listener>,
    cancel: impl Future<Output = ()>,
) -> Vec<CopyResult> {
    let mut tags_in_repository: HashMap<(String, String), usize> = HashMap::new();
    let mut lanes: HashMap<String, Arc<DestinationQueue>> = HashMap::new();
    for destination in jobs.iter().flat_map(|job| &job.destinations) {
        *tags_in_repository.entry(key(destination)).or_default() += destination.tags.len();
        lanes
            .entry(destination.host.name.clone())
            .or_insert_with(|| Arc::new(DestinationQueue::new(options.concurrency)));
    }
    let cache = BlobCache::new(Arc::clone(&listener));
    let options = Arc::new(options.clone());
    let mut rows = Vec::new();
    let mut tasks = JoinSet::new();
    for job in jobs {
        let destinations = job.destinations.clone();
        let image = SourceImage::new(job, Arc::clone(&cache));
        for destination in destinations {
            let number = rows.len();
            rows.push(CopyResult::of(&image.job, &destination));
            let task = Task {
                tags_in_repository: tags_in_repository[&key(&destination)],
                image: Arc::clone(&image),
                options: Arc::clone(&options),
                listener: Arc::clone(&listener),
                destination,
            };
            let lane = Arc::clone(&lanes[&task.destination.host.name]);
            lane.line().push_back((number, task));
            tasks.spawn(async move {
                let _permit = lane.open.acquire().await;
                let next = lane.line().pop_front();
                let (number, task) = next.expect("each takes one, and has added one");
                // Boxed: what only waits in its lane, and that may be thousands, takes little memory.
                (number, Box::pin(task.run()).await)
            });
        }
    }
    let mut cancel = std::pin::pin!(cancel);
    let reason = loop {
        tokio::select! {
            biased;
            () = &mut cancel => break "interrupted",
            ended = tasks.join_next() => match ended {
                Some(Ok((number, row))) => {
                    listener.event(Event::Finished { row: &row });
                    rows[number] = row;
                }
                // A panic, which the runtime has told.
                Some(Err(_)) => {}
                None => break "ended by a defect of this program",
            }
        }
    };
    while let Some(ended) = tasks.try_join_next() {
        if let Ok((number, row)) = ended {
            rows[number] = row;
        }
    }
    for row in &mut rows {
        if row.status == CopyStatus::Failed && row.reason.is_none() {
            row.reason = Some(reason.to_owned());
        }
    }
    rows
}

fn key(destination: &Destination) -> (String, String) {
    (destination.host.name.clone(), destination.path.clone())
}

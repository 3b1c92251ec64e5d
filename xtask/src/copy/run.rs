//! Every job to every place: each destination at its own pace, each image at each place with its own verdict.
//!
//! Invariant: there is one [`Row`] for each place of each job, whatever happens.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use super::image::Image;
use super::job::{Job, Place};
use super::outcome::{Event, Listener, Row, Verdict};
use super::shelf::Shelf;
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
struct Lane {
    open: Semaphore,
    line: Mutex<VecDeque<(usize, Task)>>,
}

impl Lane {
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
) -> Vec<Row> {
    let mut siblings: HashMap<(String, String), usize> = HashMap::new();
    let mut lanes: HashMap<String, Arc<Lane>> = HashMap::new();
    for place in jobs.iter().flat_map(|job| &job.places) {
        *siblings.entry(key(place)).or_default() += place.tags.len();
        lanes
            .entry(place.destination.host.clone())
            .or_insert_with(|| Arc::new(Lane::new(options.concurrency)));
    }
    let shelf = Shelf::new(Arc::clone(&listener));
    let options = Arc::new(options.clone());
    let mut rows = Vec::new();
    let mut tasks = JoinSet::new();
    for job in jobs {
        let places = job.places.clone();
        let image = Image::new(job, Arc::clone(&shelf));
        for place in places {
            let number = rows.len();
            rows.push(Row::of(&image.job, &place));
            let task = Task {
                siblings: siblings[&key(&place)],
                image: Arc::clone(&image),
                options: Arc::clone(&options),
                listener: Arc::clone(&listener),
                place,
            };
            let lane = Arc::clone(&lanes[&task.place.destination.host]);
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
        if row.verdict == Verdict::Failed && row.reason.is_none() {
            row.reason = Some(reason.to_owned());
        }
    }
    rows
}

fn key(place: &Place) -> (String, String) {
    (place.destination.host.clone(), place.path.clone())
}

//! Copies every job to all its destinations, each registry host at its own pace.
//!
//! There is one [`CopyResult`] for each destination of each job, whatever happens.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::{Arc, Mutex};

use futures_util::future::join_all;
use tokio::sync::Semaphore;
use tokio::task::{Id, JoinSet};

use super::blob_cache::BlobCache;
use super::job::{Job, Options, Source};
use super::limits::LOOKS;
use super::referrers::KnownReferrers;
use super::registry_host::RegistryHost;
use super::result::{CopyResult, CopyStatus, Event, Listener};
use super::source::SourceImage;
use super::task::Task;
use super::with_referrers;
use crate::oci::RepositoryName;

/// An image for one destination, with the place of its result and what is known of its referrers.
struct Waiting {
    index: usize,
    task: Task,
    known: Arc<KnownReferrers>,
}

/// The images for one registry host.
struct HostQueue {
    host: Arc<RegistryHost>,
    /// The oldest first.
    waiting: VecDeque<Waiting>,
    running: usize,
    /// How many may run: as many as copies at first, more while what is looked at is in place.
    looks: usize,
    copies: Arc<Semaphore>,
}

/// Starts the images of all hosts. Those that wait are no tasks yet, because there may be thousands.
#[derive(Default)]
struct Queues {
    queues: Vec<HostQueue>,
    tasks: JoinSet<(usize, CopyResult)>,
    /// Whose queue each task is of.
    of_task: HashMap<Id, usize>,
}

impl Queues {
    /// The queue of `host`, which copies so many images at once; at least one.
    fn of(&mut self, host: &Arc<RegistryHost>, copies: usize) -> &mut HostQueue {
        let found = self.queues.iter().position(|it| it.host.name == host.name);
        let number = found.unwrap_or_else(|| {
            let copies = copies.max(1);
            self.queues.push(HostQueue {
                host: Arc::clone(host),
                waiting: VecDeque::new(),
                running: 0,
                looks: copies,
                copies: Arc::new(Semaphore::new(copies)),
            });
            self.queues.len() - 1
        });
        &mut self.queues[number]
    }

    /// Starts what may run of each host.
    fn start_all(&mut self) {
        (0..self.queues.len()).for_each(|number| self.start(number));
    }

    fn start(&mut self, number: usize) {
        let queue = &mut self.queues[number];
        while queue.running < queue.looks
            && let Some(Waiting { index, task, known }) = queue.waiting.pop_front()
        {
            queue.running += 1;
            let copies = Arc::clone(&queue.copies);
            let copy = async move { (index, with_referrers::run(task, &known, &copies).await) };
            let id = self.tasks.spawn(copy).id();
            self.of_task.insert(id, number);
        }
    }

    /// The next result with its place, after which others have started; nothing for a panic, which the panic hook has
    /// printed.
    async fn next(&mut self) -> Option<Option<(usize, CopyResult)>> {
        let (id, ended) = match self.tasks.join_next_with_id().await? {
            Ok((id, ended)) => (id, Some(ended)),
            Err(error) => (error.id(), None),
        };
        let number = self.of_task.remove(&id)?;
        let queue = &mut self.queues[number];
        queue.running -= 1;
        // A look that found the image in place cost hardly anything: two more may be taken.
        if matches!(&ended, Some((_, result)) if result.status == CopyStatus::Equal) {
            queue.looks = queue.looks.max((queue.looks + 2).min(LOOKS));
        }
        self.start(number);
        Some(ended)
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
    for destination in jobs.iter().flat_map(|job| &job.destinations) {
        let tags = tags_in_repository.entry(destination.repository.clone());
        *tags.or_default() += destination.tags.len();
    }
    let cache = BlobCache::new(Arc::clone(&listener), sources_of_one(&jobs));
    let options = Arc::new(options.clone());
    let mut results = Vec::with_capacity(jobs.iter().map(|job| job.destinations.len()).sum());
    let mut queues = Queues::default();
    for job in jobs {
        let destinations = job.destinations.clone();
        let image = SourceImage::new(job, Arc::clone(&cache), options.retries);
        let known = Arc::new(KnownReferrers::default());
        for destination in destinations {
            let index = results.len();
            results.push(CopyResult::unfinished(&image.job, &destination));
            let queue = queues.of(&destination.host, options.concurrency);
            let task = Task {
                tags_in_repository: tags_in_repository[&destination.repository],
                image: Arc::clone(&image),
                options: Arc::clone(&options),
                listener: Arc::clone(&listener),
                before: Mutex::default(),
                destination,
            };
            let known = Arc::clone(&known);
            queue.waiting.push_back(Waiting { index, task, known });
        }
    }
    queues.start_all();
    let mut cancel = std::pin::pin!(cancel);
    let reason = loop {
        tokio::select! {
            biased;
            () = &mut cancel => break "interrupted",
            ended = queues.next() => match ended {
                Some(Some((index, result))) => {
                    listener.on_event(Event::Finished { result: &result });
                    results[index] = result;
                }
                Some(None) => {}
                None => break "internal error",
            }
        }
    };
    while let Some(ended) = queues.tasks.try_join_next() {
        if let Ok((index, result)) = ended {
            results[index] = result;
        }
    }
    queues.tasks.shutdown().await;
    join_all(queues.queues.iter().map(|it| it.host.cancel_uploads())).await;
    for result in &mut results {
        if result.status == CopyStatus::Failed && result.reason.is_none() {
            result.reason = Some(reason.to_owned());
        }
    }
    results
}

/// The sources that are copied to one repository each, by [`Repository::identity`].
///
/// [`Repository::identity`]: crate::registry::Repository::identity
fn sources_of_one(jobs: &[Job]) -> HashSet<String> {
    let mut destinations: HashMap<String, HashSet<&RepositoryName>> = HashMap::new();
    for job in jobs {
        if let Source::Registry { repository, .. } = &job.source {
            let names = job.destinations.iter().map(|it| &it.repository);
            destinations
                .entry(repository.identity())
                .or_default()
                .extend(names);
        }
    }
    let of_one = destinations.into_iter().filter(|(_, it)| it.len() == 1);
    of_one.map(|(source, _)| source).collect()
}

//! The documented exit codes, and the error type that selects one.

use std::fmt;
use std::sync::LazyLock;

use tokio::signal::unix::{Signal, SignalKind, signal};

/// How a run ended, as the process's exit code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Exit {
    /// Everything asked for was done.
    Done = 0,
    /// Something asked for was not done.
    Failed = 1,
    /// The command line, a setting or an input is wrong; a person has to change it.
    Usage = 2,
    /// At least one registry failed; everything else was done.
    Partial = 3,
    /// Ctrl-C, SIGTERM or SIGHUP.
    Interrupted = 130,
}

/// An error that the user's input or configuration caused: [`Exit::Usage`].
///
/// Everything else in an [`anyhow::Error`] is [`Exit::Failed`].
#[derive(Debug)]
pub struct BadInput(pub String);

impl fmt::Display for BadInput {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for BadInput {}

/// A [`BadInput`] as an [`anyhow::Error`].
pub fn bad_input(sentence: impl fmt::Display) -> anyhow::Error {
    BadInput(sentence.to_string()).into()
}

/// What is wrong with the input; of very many problems, the first and how many there are.
#[derive(Debug, Default)]
pub struct Problems {
    first: Vec<String>,
    count: usize,
}

/// As many as somebody reads.
const MOST_PROBLEMS: usize = 100;

impl Problems {
    pub fn push(&mut self, problem: impl Into<String>) {
        if self.count < MOST_PROBLEMS {
            self.first.push(problem.into());
        }
        self.count += 1;
    }

    pub fn count(&self) -> usize {
        self.count
    }

    /// All together as a [`BadInput`], if there are any.
    pub fn none(self) -> anyhow::Result<()> {
        let mut text = self.first.join("\n");
        match self.count.checked_sub(self.first.len()) {
            _ if self.count == 0 => return Ok(()),
            None | Some(0) => {}
            Some(more) => text += &format!("\nand {more} more problems"),
        }
        Err(bad_input(text))
    }
}

impl Extend<String> for Problems {
    fn extend<I: IntoIterator<Item = String>>(&mut self, problems: I) {
        problems.into_iter().for_each(|problem| self.push(problem));
    }
}

/// All problems together as a [`BadInput`], if there are any.
pub fn no_problems(problems: &[String]) -> anyhow::Result<()> {
    let mut all = Problems::default();
    all.extend(problems.iter().cloned());
    all.none()
}

/// The exit code of an error.
pub fn code(error: &anyhow::Error) -> Exit {
    if error.downcast_ref::<BadInput>().is_some() {
        Exit::Usage
    } else {
        Exit::Failed
    }
}

/// The one of `known` that is most similar to `wrong`, for "did you mean".
pub fn nearest<'k>(wrong: &str, known: impl IntoIterator<Item = &'k str>) -> Option<&'k str> {
    let most = 1 + wrong.len() / 4;
    // Comparing takes memory for each pair of characters, and `wrong` may be megabytes.
    let length = wrong.chars().count();
    let similar = known
        .into_iter()
        .filter(|right| right.chars().count().abs_diff(length) <= most);
    let distances = similar.map(|right| (strsim::damerau_levenshtein(right, wrong), right));
    let (distance, right) = distances.min()?;
    (distance <= most).then_some(right)
}

/// An error and its causes on one line. No error type shows its `source()` in its own message.
pub fn sentence(error: &anyhow::Error) -> String {
    format!("{error:#}")
}

/// `error` as a [`BadInput`], if an input `is_at_fault`.
pub fn blame(
    is_at_fault: bool,
    error: impl std::error::Error + Send + Sync + 'static,
) -> anyhow::Error {
    let error = anyhow::Error::new(error);
    match is_at_fault {
        true => bad_input(sentence(&error)),
        false => error,
    }
}

/// Completes when the program is asked to stop: by Ctrl-C, by SIGTERM, which a runner sends when it cancels a job, or
/// by SIGHUP, which comes when the terminal is closed (on Linux; elsewhere that ends the process as it always does).
///
/// The signals are caught from the call on, not from the first poll. The next one ends the process at once.
pub fn interrupted() -> impl Future<Output = ()> {
    let asked = asked_to_stop();
    async move {
        asked.await;
        end_on_interrupt();
    }
}

fn asked_to_stop() -> impl Future<Output = ()> + Send + 'static {
    let kinds = [SignalKind::interrupt(), SignalKind::terminate()];
    let [interrupt, terminate] = kinds.map(|kind| signal(kind).ok());
    let hangup = (!is_hangup_ignored()).then(|| signal(SignalKind::hangup()).ok());
    async move {
        tokio::select! {
            () = received(interrupt) => {}
            () = received(terminate) => {}
            () = received(hangup.flatten()) => {}
        }
    }
}

/// Whether the program was started to outlive its terminal, by `nohup`; or, as only Linux tells, may have been.
fn is_hangup_ignored() -> bool {
    static IS_IGNORED: LazyLock<bool> = LazyLock::new(|| {
        let status = std::fs::read_to_string("/proc/self/status");
        status.map_or(true, |status| has_hangup(&status))
    });
    *IS_IGNORED
}

/// Whether SIGHUP, the first bit, is in the mask of ignored signals of a process's `status`.
fn has_hangup(status: &str) -> bool {
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    mask.is_some_and(|mask| mask & 1 == 1)
}

/// Lets an interrupt end the process at once from now on: what follows may wait for others.
pub fn end_on_interrupt() {
    if let Ok(runtime) = tokio::runtime::Handle::try_current() {
        let interrupt = asked_to_stop();
        runtime.spawn(async {
            interrupt.await;
            std::process::exit(Exit::Interrupted as i32)
        });
    }
}

/// One that cannot be caught ends the program by itself.
async fn received(signal: Option<Signal>) {
    match signal {
        Some(mut signal) => drop(signal.recv().await),
        None => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_very_many_problems_the_first_are_told() {
        assert!(no_problems(&[]).is_ok());
        let problems: Vec<String> = (0..100_000).map(|it| format!("line {it}")).collect();
        let text = no_problems(&problems).unwrap_err().to_string();
        assert!(text.starts_with("line 0\nline 1\n"), "{text}");
        assert!(text.ends_with("line 99\nand 99900 more problems"), "{text}");
        let few = no_problems(&problems[..100]).unwrap_err().to_string();
        assert!(few.ends_with("\nline 99"), "{few}");
    }

    #[test]
    fn a_word_of_megabytes_is_no_misspelling() {
        let long = "tags".repeat(1 << 20);
        assert_eq!(nearest(&long, ["tags", "targets"]), None);
        assert_eq!(nearest("target", ["tags", "targets"]), Some("targets"));
    }

    #[test]
    fn the_mask_of_a_process_says_what_it_ignores() {
        assert!(has_hangup("Name:\tx\nSigIgn:\t0000000000001001\n"));
        assert!(!has_hangup("Name:\tx\nSigIgn:\t0000000000001000\n"));
    }

    #[derive(Debug, thiserror::Error)]
    #[error("cannot read `a`")]
    struct Unreadable {
        source: std::io::Error,
    }

    #[test]
    fn each_cause_is_shown_once() {
        let source = std::io::Error::other("no disk");
        let error = anyhow::Error::from(Unreadable { source }).context("`linux/amd64`");
        assert_eq!(sentence(&error), "`linux/amd64`: cannot read `a`: no disk");
    }
}

//! Which requests meet which fault: by method, path and how many came before, never by the time.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use hyper::Method;

use super::Fault;

/// A fault and the requests that meet it; all of them, unless it is narrowed.
pub struct Rule {
    fault: Fault,
    method: Option<Method>,
    part: String,
    which: Which,
    seen: usize,
}

/// Which of the requests that a rule's method and path choose.
enum Which {
    All,
    /// The first, after which the rule is gone.
    Next,
    /// That one, counted from 1.
    Nth(usize),
    /// So many of a hundred, chosen by the seed.
    Share {
        percent: u64,
        seed: u64,
    },
}

impl Rule {
    pub fn new(fault: Fault) -> Rule {
        Rule {
            fault,
            method: None,
            part: String::new(),
            which: Which::All,
            seen: 0,
        }
    }

    /// Only requests of this method.
    pub fn method(mut self, method: Method) -> Rule {
        self.method = Some(method);
        self
    }

    /// Only requests that have this in their target.
    pub fn path(mut self, part: &str) -> Rule {
        part.clone_into(&mut self.part);
        self
    }

    /// Only the next of them.
    pub fn next(mut self) -> Rule {
        self.which = Which::Next;
        self
    }

    /// Only the one of that number, counted from 1.
    pub fn nth(mut self, number: usize) -> Rule {
        self.which = Which::Nth(number);
        self
    }

    /// Only so many of a hundred. Which ones depends on the seed, the method, the path, and how often that was asked
    /// before, so that a seed spoils the same requests however they interleave.
    pub fn share(mut self, percent: u64, seed: u64) -> Rule {
        self.which = Which::Share { percent, seed };
        self
    }
}

/// The rules of a server. Where several choose a request, the oldest counts.
#[derive(Default)]
pub(super) struct Rules {
    rules: Vec<Rule>,
    /// How often each method and path was asked.
    asked: HashMap<(Method, String), u64>,
}

impl Rules {
    pub fn add(&mut self, rule: Rule) {
        self.rules.push(rule);
    }

    pub fn clear(&mut self) {
        self.rules.clear();
    }

    /// The fault that a request meets, which is counted.
    pub fn take(&mut self, method: &Method, target: &str) -> Option<Fault> {
        let key = (method.clone(), steady(target).to_owned());
        let before = self.asked.entry(key.clone()).or_default();
        let request = (&key, *before);
        *before += 1;
        let mut chosen = None;
        for (at, rule) in self.rules.iter_mut().enumerate() {
            if rule.method.as_ref().is_some_and(|it| it != method) || !target.contains(&rule.part) {
                continue;
            }
            rule.seen += 1;
            let is_meant = match rule.which {
                Which::All | Which::Next => true,
                Which::Nth(number) => rule.seen == number,
                Which::Share { percent, seed } => {
                    let mut hasher = DefaultHasher::new();
                    (seed, request, at).hash(&mut hasher);
                    hasher.finish() % 100 < percent
                }
            };
            if is_meant && chosen.is_none() {
                chosen = Some(at);
            }
        }
        let chosen = chosen?;
        match self.rules[chosen].which {
            Which::Next => Some(self.rules.remove(chosen).fault),
            _ => Some(self.rules[chosen].fault.clone()),
        }
    }
}

/// The target without what is different in every run: the names of upload sessions, and queries.
fn steady(target: &str) -> &str {
    let path = target.split('?').next().unwrap_or_default();
    match path.split_once("/blobs/uploads/") {
        Some((repository, _)) => &path[..repository.len() + "/blobs/uploads/".len()],
        None => path,
    }
}

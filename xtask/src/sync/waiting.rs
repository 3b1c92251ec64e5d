//! The hosts that the others wait for, told while they are.

use std::collections::BTreeMap;
use std::sync::Mutex;

/// Who is waited for.
pub(super) struct Waiting<'w> {
    /// How many questions each host has still to answer.
    hosts: Mutex<BTreeMap<String, usize>>,
    tell: &'w (dyn Fn(&str) + Sync),
}

/// As many as fit into a line.
const SHOWN: usize = 3;

impl<'w> Waiting<'w> {
    /// `tell` is called with each change; with nothing when nobody is waited for.
    pub fn new(tell: &'w (dyn Fn(&str) + Sync)) -> Waiting<'w> {
        Waiting {
            hosts: Mutex::default(),
            tell,
        }
    }

    /// Waits for the answer of `host`.
    pub async fn wait<T>(&self, host: &str, answer: impl Future<Output = T>) -> T {
        self.count(host, 1);
        let answer = answer.await;
        self.count(host, -1);
        answer
    }

    fn count(&self, host: &str, change: isize) {
        let mut hosts = self.hosts.lock().expect("no holder panics");
        let count = hosts.entry(host.to_owned()).or_default();
        let (before, now) = (*count, count.saturating_add_signed(change));
        *count = now;
        if now == 0 {
            hosts.remove(host);
        }
        if before == 0 || now == 0 {
            (self.tell)(&sentence(hosts.keys()));
        }
    }
}

fn sentence<'h>(hosts: impl ExactSizeIterator<Item = &'h String>) -> String {
    let more = match hosts.len().saturating_sub(SHOWN) {
        _ if hosts.len() == 0 => return String::new(),
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    let shown: Vec<String> = hosts.take(SHOWN).map(|it| format!("`{it}`")).collect();
    format!("waiting for {}{more}", shown.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn whoever_has_not_answered_is_named_and_many_are_counted() {
        let told = Mutex::new(Vec::new());
        let tell = |text: &str| told.lock().unwrap().push(text.to_owned());
        let waiting = Waiting::new(&tell);
        waiting
            .wait("a.io", waiting.wait("b.io", waiting.wait("a.io", async {})))
            .await;
        let told = told.into_inner().unwrap();
        let both = "waiting for `a.io`, `b.io`";
        assert_eq!(told, ["waiting for `a.io`", both, "waiting for `a.io`", ""]);
        let many: Vec<String> = (1..=5).map(|it| format!("{it}.io")).collect();
        let text = "waiting for `1.io`, `2.io`, `3.io` and 2 more";
        assert_eq!(sentence(many.iter()), text);
    }
}

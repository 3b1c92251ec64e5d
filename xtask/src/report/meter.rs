//! How far a target is: a bar on a terminal, elsewhere a line now and then.
//!
//! It refuses to print: its lines are the console's to say. Invariant: no line is due more often than [`HEARTBEAT`].

use std::time::{Duration, Instant};

use indicatif::{DecimalBytes, HumanDuration, MultiProgress, ProgressBar, ProgressStyle};

/// Where nobody watches a bar, a running transfer says a line this often.
const HEARTBEAT: Duration = Duration::from_secs(10);

pub(super) struct Meter {
    target: String,
    /// How far the target is besides its bytes.
    note: String,
    /// Hidden where there is no terminal; it still knows the rate.
    bar: ProgressBar,
    said: Instant,
}

impl Meter {
    /// Among the bars of a terminal, if there is one.
    pub fn new(target: &str, bars: Option<&MultiProgress>) -> Meter {
        let bar = match bars {
            Some(bars) => bars.add(ProgressBar::new_spinner()),
            None => ProgressBar::hidden(),
        };
        bar.set_style(style("{spinner} {prefix:24} {elapsed:>4} {wide_msg}"));
        bar.set_prefix(target.to_owned());
        bar.enable_steady_tick(Duration::from_millis(100));
        Meter {
            target: target.to_owned(),
            note: String::new(),
            bar,
            said: Instant::now(),
        }
    }

    /// What the target is doing, until the first bytes move.
    pub fn message(&self, text: String) {
        self.bar.set_message(text);
    }

    /// Stands beside the name from now on.
    pub fn note(&mut self, text: &str) {
        self.note = format!("{text}, ");
        self.bar.set_prefix(format!("{} {text}", self.target));
    }

    /// So many bytes have gone, of so many if that is known; the line that is due, where there is no terminal.
    pub fn advance(&mut self, current: u64, total: u64) -> Option<String> {
        if total > 0 && self.bar.length() != Some(total) {
            self.bar.set_length(total);
            self.bar.set_style(style(
                "{spinner} {prefix:24} {elapsed:>4} {wide_bar} {decimal_bytes}/{decimal_total_bytes} \
                 {decimal_bytes_per_sec} {eta}",
            ));
        }
        self.bar.set_position(current);
        if !self.bar.is_hidden() || self.said.elapsed() < HEARTBEAT {
            return None;
        }
        self.said = Instant::now();
        let moved = match total {
            0 => DecimalBytes(current).to_string(),
            total => format!(
                "{} of {}, {}/s, {:#} left",
                DecimalBytes(current),
                DecimalBytes(total),
                DecimalBytes(self.bar.per_sec() as u64),
                HumanDuration(self.bar.eta()),
            ),
        };
        Some(format!("{}: {}{moved}", self.target, self.note))
    }

    pub fn end(self) {
        self.bar.finish_and_clear();
    }
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).expect("the templates are constants")
}

//! Exact comparisons with files beside the tests, without what changes from run to run.

use std::path::Path;

use regex_lite::{Captures, Regex};

use crate::support::workspace::Run;

/// Fails unless `text` is what `offline/snapshots/{name}.snap` holds.
#[track_caller]
pub fn assert_shown(name: &str, text: &str) {
    let mut settings = insta::Settings::clone_current();
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    settings
        .set_snapshot_path(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/offline/snapshots"));
    settings.bind(|| insta::assert_snapshot!(name, text));
}

/// How a run is written down: what changes from run to run has a fixed name.
#[derive(Default)]
pub struct Shown(Vec<(String, String)>);

impl Shown {
    /// `text` is written as `name`; as long as `text`, so that tables stay aligned.
    pub fn with(mut self, text: &str, name: &str) -> Shown {
        self.0.push((text.to_owned(), name.to_owned()));
        self
    }

    /// The exit code, and both streams.
    pub fn run(&self, run: &Run) -> String {
        self.text(&run.to_string())
    }

    /// The tables at the end of a run, and the sentence under them: what is before them has no fixed order.
    pub fn summary(&self, run: &Run) -> String {
        let at = run.stderr.find("\n\n").expect("a summary");
        self.text(&format!(
            "{}\nexit {}\n",
            &run.stderr[at + 2..].trim_end(),
            run.code
        ))
    }

    pub fn text(&self, text: &str) -> String {
        let named = self.0.iter();
        let text = named.fold(text.to_owned(), |text, (it, name)| text.replace(it, name));
        // A number of seconds in a cell; what follows it stays in its column.
        let seconds = Regex::new(r"(?m)(  |\| )\d+\.\d( *$|  | \|)").expect("a regular expression");
        let zero = |found: &Captures<'_>| {
            let width = found[0].len() - found[1].len() - found[2].len();
            format!("{}{:<width$}{}", &found[1], "0.0", &found[2])
        };
        let text = seconds.replace_all(&text, zero);
        // Systems number the same error differently.
        let number = Regex::new(r"(os\s+error) \d+").expect("a regular expression");
        number.replace_all(&text, "$1 N").into_owned()
    }
}

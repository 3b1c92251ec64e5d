//! What rooms that know no console log: their waits, with `-v` the short ones too, and with `-vv` what the libraries
//! log; all of it redacted like everything else.

use std::sync::Arc;

use log::{LevelFilter, Log, Metadata, Record};

use super::console::Console;

struct Logger(Arc<Console>);

impl Log for Logger {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        self.0.verbosity() > 1 || is_ours(metadata)
    }

    fn log(&self, record: &Record<'_>) {
        if !self.enabled(record.metadata()) {
            return;
        }
        // One record is one line, whatever is quoted in it.
        let text = record.args().to_string().replace(['\r', '\n'], " ");
        match is_ours(record.metadata()) {
            true => self.0.info(&text),
            false => self.0.info(&format!("{}: {text}", record.target())),
        }
    }

    fn flush(&self) {}
}

fn is_ours(metadata: &Metadata<'_>) -> bool {
    metadata.target().starts_with("xtask::")
}

/// Sends records to `console` from now on. Trace records are left out: they hold headers and bodies.
pub fn show_logs(console: &Arc<Console>) {
    if log::set_boxed_logger(Box::new(Logger(console.clone()))).is_ok() {
        log::set_max_level(match console.verbosity() {
            0 => LevelFilter::Warn,
            1 => LevelFilter::Info,
            _ => LevelFilter::Debug,
        });
    }
}

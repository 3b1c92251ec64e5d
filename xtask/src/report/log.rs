//! `-vv`: what the libraries log, redacted like everything else.

use std::sync::Arc;

use log::{LevelFilter, Log, Metadata, Record};

use super::console::Console;

struct Logger(Arc<Console>);

impl Log for Logger {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &Record<'_>) {
        // One record is one line, whatever is quoted in it.
        let text = record.args().to_string().replace(['\r', '\n'], " ");
        self.0.info(&format!("{}: {text}", record.target()));
    }

    fn flush(&self) {}
}

/// With `-vv`, sends the records of all libraries to `console`. Trace records are left out: they hold headers and
/// bodies.
pub fn show_logs(console: &Arc<Console>) {
    if console.shows_logs() && log::set_boxed_logger(Box::new(Logger(console.clone()))).is_ok() {
        log::set_max_level(LevelFilter::Debug);
    }
}

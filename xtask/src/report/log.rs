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
        self.0
            .info(&format!("{}: {}", record.target(), record.args()));
    }

    fn flush(&self) {}
}

/// Sends the records of all libraries to `console`. Trace records are left out: they hold headers and bodies.
pub(super) fn install(console: Arc<Console>) {
    if log::set_boxed_logger(Box::new(Logger(console))).is_ok() {
        log::set_max_level(LevelFilter::Debug);
    }
}

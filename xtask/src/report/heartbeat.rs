//! Where there are no bars: what runs long and says nothing is told to be still running.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::console::Console;

/// Looks at the running targets from now on, as long as `console` is used.
pub fn start_heartbeat(console: &Arc<Console>) {
    let console = Arc::downgrade(console);
    tokio::spawn(async move {
        let mut ticks = tokio::time::interval(Duration::from_secs(1));
        loop {
            ticks.tick().await;
            let Some(console) = console.upgrade() else {
                return;
            };
            for line in console.live.heartbeat(Instant::now()) {
                console.info(&line);
            }
        }
    });
}

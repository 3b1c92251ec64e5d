//! The program: run, then exit.

use std::process::exit;

#[tokio::main]
async fn main() {
    let environment = xtask::settings::Environment::capture();
    xtask::machine::prepare(environment.get("TMPDIR"));
    let directory = std::env::current_dir().unwrap_or_default();
    exit(xtask::run(std::env::args_os(), environment, &directory).await as i32);
}

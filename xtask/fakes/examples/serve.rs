//! A fake registry by itself, for the benchmarks: prints its `HOST:PORT`, and ends with its standard input.

use std::io::Read as _;

use fakes::registry::{AuthMode, Behavior, FakeRegistry};

fn main() -> std::io::Result<()> {
    let with_tokens = std::env::args().any(|it| it == "--tokens");
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let registry = runtime.block_on(FakeRegistry::start(Behavior {
        auth: match with_tokens {
            true => AuthMode::Tokens,
            false => AuthMode::Open,
        },
        mount: Some(201),
        ..Behavior::default()
    }));
    println!("{}", registry.host);
    let end = std::thread::spawn(|| std::io::stdin().read_to_end(&mut Vec::new()));
    runtime.block_on(async {
        while !end.is_finished() {
            tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        }
    });
    Ok(())
}

//! A layer of gigabytes. It needs nothing but Rust, and Linux; but it takes too long for the other binary.

use crate::support::{process, sparse};

#[tokio::test(flavor = "multi_thread")]
async fn five_gibibytes_pass_through_little_memory() {
    if process::is_child() {
        return process::child().await;
    }
    let source = sparse::source().await;
    let (target, arrived) = sparse::destination().await;
    let name = "copy_large::five_gibibytes_pass_through_little_memory";
    let host = |server: &fakes::http::Server| server.host().to_owned();
    let output = process::run(name, "", &host(&source), &host(&target)).await;
    assert_eq!(process::said(&output, "reason: "), "None");
    assert!(*arrived.lock().unwrap());
    let peak: u64 = process::said(&output, "peak: ").parse().unwrap();
    assert!(peak < 64 << 10, "{peak} KiB");
}

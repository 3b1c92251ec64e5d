//! What the tests share: fixtures, images, and clients. The servers that they talk to are in the crate `fakes`.

pub mod client;
pub mod copying;
pub mod distribution;
pub mod engine_image;
pub mod images;
pub mod release_fixture;
pub mod sparse;
pub mod sync_fixture;
pub mod workspace;

use std::fs;
use std::path::Path;

/// A client as the program builds it: its own TLS provider, no `Referer`, no proxy between a test and its server.
pub fn client() -> reqwest::Client {
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::builder()
        .referer(false)
        .no_proxy()
        .build()
        .expect("a client")
}

/// The names of the files in a directory.
pub fn names(dir: &Path) -> Vec<String> {
    let entries = fs::read_dir(dir).unwrap();
    let name = |entry: fs::DirEntry| entry.file_name().into_string().unwrap();
    let mut names: Vec<String> = entries.map(|entry| name(entry.unwrap())).collect();
    names.sort();
    names
}

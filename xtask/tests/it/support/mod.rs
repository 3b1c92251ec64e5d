//! Servers and samples that the tests share.

pub mod client;
pub mod copying;
pub mod distribution;
pub mod door;
pub mod faulty;
pub mod feed;
pub mod github;
pub mod images;
pub mod mirror;
pub mod sample;
pub mod server;
pub mod sparse;
pub mod stage;
mod store;
pub mod workspace;
pub mod zips;

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

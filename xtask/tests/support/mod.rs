//! What both test binaries share: images, clients and workspaces. The servers they talk to are in the crate `fakes`.

pub mod chaos;
pub mod client;
pub mod copying;
pub mod images;
pub mod local_images;
pub mod process;
pub mod referrers;
pub mod release_fixture;
pub mod sparse;
pub mod sync_fixture;
pub mod watcher;
pub mod workspace;

use std::fs;
use std::path::Path;

use tokio::net::TcpSocket;

use url::Url;

/// A client as the program builds it: its own TLS provider, no `Referer`, no proxy between a test and its server.
pub fn client() -> reqwest::Client {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let here = Url::parse("http://127.0.0.1/").expect("a URL");
    xtask::http::client(&here, |builder| builder).expect("a client")
}

/// The names of the files in a directory.
pub fn names(dir: &Path) -> Vec<String> {
    let entries = fs::read_dir(dir).unwrap();
    let name = |entry: fs::DirEntry| entry.file_name().into_string().unwrap();
    let mut names: Vec<String> = entries.map(|entry| name(entry.unwrap())).collect();
    names.sort();
    names
}

/// An address nobody listens on, nor ever will: the port is taken, until the process ends.
pub fn dead_address() -> String {
    let socket = Box::leak(Box::new(TcpSocket::new_v4().expect("a socket")));
    let any = "127.0.0.1:0".parse().expect("an address");
    socket.bind(any).expect("a free port");
    socket.local_addr().expect("its address").to_string()
}

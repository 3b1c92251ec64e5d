//! Servers and samples that the tests share.

pub mod feed;
pub mod github;
pub mod server;
pub mod zips;

/// A client as the program builds it: its own TLS provider, no `Referer`, no proxy between a test and its server.
pub fn client() -> reqwest::Client {
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::builder()
        .referer(false)
        .no_proxy()
        .build()
        .expect("a client")
}

//! What every HTTP client here shares: how a client is made, whom it trusts, the one retry loop, bodies with limits,
//! and headers.
//!
//! It refuses to know what is asked of whom. Invariant: no error shows a URL.

mod body;
mod client;
mod headers;
mod loopback;
mod proxy;
mod retry;
mod tls_error;
mod trust;

pub use body::{Error, Sent, beginning, chunk, document, send};
pub use client::{client, client_with};
pub use headers::{ContentRange, content_range, location, next_page, parameter_value, retry_after};
pub use loopback::is_loopback;
pub use proxy::{Proxies, use_proxies};
pub use retry::{FIRST_WAIT, backoff, retry, transient};
pub use trust::{Verify, look_for_certificates_in};

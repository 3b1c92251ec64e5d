//! How every client is made: TLS trust, proxy, user agent.

use std::time::Duration;

use reqwest::header::{ACCEPT_ENCODING, HeaderMap, HeaderName, HeaderValue};
use reqwest::{Client, ClientBuilder};
use url::Url;

use super::body::Error;
use super::proxy;
use super::trust::{self, Verify};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// What comes is hashed and measured as it is.
const PLAIN: (HeaderName, HeaderValue) = (ACCEPT_ENCODING, HeaderValue::from_static("identity"));

/// A client for the server at `base`, with what `configure` adds.
///
/// It names itself, because GitHub refuses clients that do not; it sends no `Referer`, because the URL before a
/// redirect may be signed; it asks the proxies that [`use_proxies`](super::use_proxies) was told; and without
/// certificates on the machine, as on a bare Debian, it still speaks plain HTTP. It has no read timeout, which in
/// reqwest also runs while a long upload waits for its response: [`send`](super::send) and [`chunk`](super::chunk)
/// watch for stalls.
pub fn client(
    base: &Url,
    configure: impl FnOnce(ClientBuilder) -> ClientBuilder,
) -> Result<Client, Error> {
    client_with(base, Verify::Checked, configure)
}

/// The same for a server whose certificate may be one that nobody can check.
pub fn client_with(
    base: &Url,
    verify: Verify,
    configure: impl FnOnce(ClientBuilder) -> ClientBuilder,
) -> Result<Client, Error> {
    let tls = trust::tls(base, verify)?;
    let builder = Client::builder()
        .tls_backend_preconfigured(tls)
        .user_agent(concat!("hagicode-xtask/", env!("CARGO_PKG_VERSION")))
        .referer(false)
        .connect_timeout(CONNECT_TIMEOUT)
        .default_headers(HeaderMap::from_iter([PLAIN]))
        .no_proxy();
    let builder = configure(match proxy::proxy() {
        Some(proxy) => builder.proxy(proxy),
        None => builder,
    });
    Ok(builder.build()?)
}

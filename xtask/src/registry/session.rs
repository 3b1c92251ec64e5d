//! An upload that the registry has opened. It is known until it is a blob or cancelled; what is left at the end of a
//! run is cancelled, so that the registry need not keep what came of it.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures_util::{StreamExt as _, stream};
use log::warn;
use reqwest::{Method, Request};
use url::Url;

use super::auth::Scope;
use super::connection::Connection;
use super::error::Error;
use crate::http;

/// Uploads that are cancelled at once.
const CANCELS: usize = 16;

/// How often an upload is asked where it is.
const CANCEL_TRIES: u32 = 4;

/// An upload that the registry has opened.
pub struct Session {
    connection: Arc<Connection>,
    number: u64,
    url: Url,
    scope: Scope,
}

impl Session {
    pub(super) fn new(connection: &Arc<Connection>, url: Url, scope: Scope) -> Session {
        Session {
            connection: Arc::clone(connection),
            number: connection.open_uploads.add(url.clone(), scope.clone()),
            url,
            scope,
        }
    }

    pub(super) fn url(&self) -> &Url {
        &self.url
    }

    /// It goes on elsewhere.
    pub(super) fn move_to(&mut self, url: Url) {
        self.connection.open_uploads.move_to(self.number, &url);
        self.url = url;
    }

    /// It is a blob.
    pub(super) fn end(self) {
        self.connection.open_uploads.remove(self.number);
    }

    pub async fn cancel(self) {
        // It expires by itself too.
        let _ = self.connection.cancel(self.url.clone(), &self.scope).await;
        self.end();
    }
}

impl Connection {
    /// Cancels the uploads that are open still, in so much time, and tells how many the registry has kept.
    pub(super) async fn cancel_uploads(&self, longest: Duration) {
        let open = self.open_uploads.take();
        let kept = AtomicUsize::new(open.len());
        let cancel = |(url, scope): (Url, Scope)| {
            let kept = &kept;
            async move {
                if self.cancel(url, &scope).await {
                    kept.fetch_sub(1, Ordering::Relaxed);
                }
            }
        };
        let cancels = stream::iter(open).map(cancel);
        let cancels = cancels.buffer_unordered(CANCELS).collect::<()>();
        let _ = tokio::time::timeout(longest, cancels).await;
        match kept.into_inner() {
            0 => {}
            kept => warn!(
                "`{}` has not cancelled {kept} of the uploads that were open; it removes them by itself, after some days",
                self.base.authority()
            ),
        }
    }

    /// Whether the upload is gone. Not tried for long: it expires by itself too, and GitHub answers 405.
    ///
    /// An upload that was left in the middle of a body is at another offset than its address says, which distribution
    /// refuses (416); since 3.0 it tells the address that counts. The rest of the body may still be on its way then.
    async fn cancel(&self, mut url: Url, scope: &Scope) -> bool {
        for _ in 0..CANCEL_TRIES {
            let delete = Request::new(Method::DELETE, url.clone());
            match self.attempt(delete, scope).await {
                Ok(_) => return true,
                Err(error) if is_gone(&error) => return true,
                Err(error) if error.status().is_none() => return false,
                Err(_) => {}
            }
            let status = Request::new(Method::GET, url.clone());
            match self.attempt(status, scope).await {
                Ok(status) => match http::location(status.headers(), status.url()) {
                    Some(now) if now != url => url = now,
                    _ => return false,
                },
                Err(error) => return is_gone(&error),
            }
        }
        false
    }
}

/// Whether the registry knows no such upload.
fn is_gone(error: &Error) -> bool {
    let code = error.response().and_then(|it| it.code.as_deref());
    code == Some("BLOB_UPLOAD_UNKNOWN")
}

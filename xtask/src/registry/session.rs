//! An upload that the registry has opened. It is known until it is a blob or cancelled; what is left at the end of a
//! run is cancelled, so that the registry need not keep what came of it.

use std::sync::Arc;

use futures_util::{StreamExt as _, stream};
use reqwest::{Method, Request};
use url::Url;

use super::auth::Scope;
use super::connection::Connection;

/// Uploads that are cancelled at once.
const CANCELS: usize = 16;

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
        self.connection.cancel(self.url.clone(), &self.scope).await;
        self.end();
    }
}

impl Connection {
    /// Cancels the uploads that are open still.
    pub(super) async fn cancel_uploads(&self) {
        let cancel = |(url, scope): (Url, Scope)| async move { self.cancel(url, &scope).await };
        let cancels = stream::iter(self.open_uploads.take()).map(cancel);
        cancels.buffer_unordered(CANCELS).collect().await
    }

    /// Tried once: an upload expires by itself too, and GitHub answers 405.
    async fn cancel(&self, url: Url, scope: &Scope) {
        let _ = self.attempt(Request::new(Method::DELETE, url), scope).await;
    }
}

//! An HTTP server on a free port of this machine, and the bodies that honest and dishonest ones send.

use std::convert::Infallible;
use std::future::Future;
use std::io;

use bytes::Bytes;
use futures_util::stream;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt as _, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;
use tokio::task::{AbortHandle, JoinSet};
use url::Url;

pub type Body = UnsyncBoxBody<Bytes, io::Error>;

/// Serves until it is dropped.
pub struct Server {
    pub url: Url,
    task: AbortHandle,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Answers requests with `handle`; its error closes the connection without an answer.
pub async fn serve<H, F>(handle: H) -> Server
where
    H: Fn(Request<Incoming>) -> F + Clone + Send + 'static,
    F: Future<Output = io::Result<Response<Body>>> + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let accept = async move {
        // Dropped with the task, and the connections with it.
        let mut connections = JoinSet::new();
        while let Ok((stream, _)) = listener.accept().await {
            let service = service_fn(handle.clone());
            let connection = hyper::server::conn::http1::Builder::new()
                .serve_connection(TokioIo::new(stream), service);
            connections.spawn(connection);
        }
    };
    Server {
        url: Url::parse(&format!("http://{address}/")).expect("a URL"),
        task: tokio::spawn(accept).abort_handle(),
    }
}

/// A whole body, with its length.
pub fn whole(bytes: impl Into<Bytes>) -> Body {
    Full::new(bytes.into())
        .map_err(|never: Infallible| match never {})
        .boxed_unsync()
}

/// A body of unannounced length that ends in good order.
pub fn unannounced(bytes: Bytes) -> Body {
    let frame = Ok(Frame::data(bytes));
    StreamBody::new(stream::iter([frame])).boxed_unsync()
}

/// A body that breaks off after these bytes: the connection closes.
pub fn broken(bytes: Bytes) -> Body {
    let frames = stream::unfold(Some(bytes), |bytes| async {
        match bytes {
            Some(bytes) => Some((Ok(Frame::data(bytes)), None)),
            None => {
                // While the body is pending, hyper sends what it has.
                tokio::task::yield_now().await;
                Some((Err(io::ErrorKind::BrokenPipe.into()), None))
            }
        }
    });
    StreamBody::new(frames).boxed_unsync()
}

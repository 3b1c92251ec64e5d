//! An HTTP server on a free port of this machine, and the replies that honest and dishonest ones give.

use std::borrow::Cow;
use std::convert::Infallible;
use std::future::Future;
use std::io;
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt as _, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::header::{CONTENT_LENGTH, RANGE};
use hyper::service::service_fn;
use hyper::{HeaderMap, Method, Request, Response};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::task::{AbortHandle, JoinSet};
use url::{Url, form_urlencoded};

/// The body of a response; its error closes the connection.
pub type Body = UnsyncBoxBody<Bytes, io::Error>;

/// Serves until it is dropped.
pub struct Server {
    pub url: Url,
    task: AbortHandle,
}

impl Server {
    /// `127.0.0.1:port`.
    pub fn host(&self) -> &str {
        self.url.authority()
    }
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
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
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

/// A response before it is sent.
pub struct Reply {
    pub status: u16,
    pub headers: Vec<(Cow<'static, str>, String)>,
    pub body: Bytes,
    delivery: Delivery,
}

/// How much of a body arrives, and with which length announced.
enum Delivery {
    Whole,
    Truncated(usize),
    Unannounced,
    /// In pieces of this length, with a pause before each.
    Dripped(usize, Duration),
}

impl Reply {
    pub fn new(status: u16, body: impl Into<Bytes>) -> Reply {
        Reply {
            status,
            headers: Vec::new(),
            body: body.into(),
            delivery: Delivery::Whole,
        }
    }

    pub fn empty(status: u16) -> Reply {
        Reply::new(status, Bytes::new())
    }

    pub fn json(status: u16, body: &Value) -> Reply {
        Reply::new(status, body.to_string()).with("content-type", "application/json")
    }

    pub fn with(mut self, name: impl Into<Cow<'static, str>>, value: impl ToString) -> Reply {
        self.headers.push((name.into(), value.to_string()));
        self
    }

    /// The part of `content` that a `Range` header asks for, or all of it. Of several ranges or a suffix: all.
    pub fn ranged(content: &Bytes, headers: &HeaderMap) -> Reply {
        match requested_range(headers, content.len()) {
            None => Reply::new(200, content.clone()),
            Some((first, last)) if first > last => Reply::empty(416),
            Some((first, last)) => Reply::partial(content, first, last),
        }
    }

    /// A 206 with the bytes from `first` to `last`, which is one of them.
    pub fn partial(content: &Bytes, first: usize, last: usize) -> Reply {
        let range = format!("bytes {first}-{last}/{}", content.len());
        Reply::new(206, content.slice(first..=last)).with("content-range", range)
    }

    /// The connection closes after so many bytes of the body.
    pub fn truncated(mut self, length: usize) -> Reply {
        self.delivery = Delivery::Truncated(length);
        self
    }

    /// The body's length is not in the head.
    pub fn unannounced(mut self) -> Reply {
        self.delivery = Delivery::Unannounced;
        self
    }

    /// The body comes in pieces of this length, with a pause before each.
    pub fn dripped(mut self, length: usize, pause: Duration) -> Reply {
        self.delivery = Delivery::Dripped(length, pause);
        self
    }

    pub fn into_response(self, method: &Method) -> Response<Body> {
        let mut response = Response::builder().status(self.status);
        for (name, value) in self.headers {
            response = response.header(&*name, value);
        }
        let length = self.body.len();
        let body = match self.delivery {
            _ if method == Method::HEAD => {
                // What a proxy passes on has the length already.
                if !response
                    .headers_ref()
                    .is_some_and(|it| it.contains_key(CONTENT_LENGTH))
                {
                    response = response.header(CONTENT_LENGTH, length);
                }
                whole(Bytes::new())
            }
            Delivery::Whole => whole(self.body),
            Delivery::Truncated(sent) => {
                response = response.header(CONTENT_LENGTH, length);
                truncated(self.body.slice(..sent.min(length)))
            }
            Delivery::Unannounced => unannounced(self.body),
            Delivery::Dripped(piece, pause) => {
                response = response.header(CONTENT_LENGTH, length);
                dripped(self.body, piece.max(1), pause)
            }
        };
        response.body(body).expect("a response")
    }
}

/// First and last byte; the first is beyond the last where nothing can be given.
fn requested_range(headers: &HeaderMap, size: usize) -> Option<(usize, usize)> {
    let range = headers.get(RANGE)?.to_str().ok()?.strip_prefix("bytes=")?;
    let (first, last) = range.split_once('-')?;
    let first = first.parse().ok()?;
    let last = match last {
        "" => usize::MAX,
        last => last.parse().ok()?,
    };
    match size.checked_sub(1) {
        Some(end) => Some((first, last.min(end))),
        None => Some((1, 0)),
    }
}

/// A whole body, with its length.
pub fn whole(bytes: impl Into<Bytes>) -> Body {
    Full::new(bytes.into())
        .map_err(|never: Infallible| match never {})
        .boxed_unsync()
}

/// A body of unannounced length that ends in good order.
fn unannounced(bytes: Bytes) -> Body {
    let frame = Ok(Frame::data(bytes));
    StreamBody::new(stream::iter([frame])).boxed_unsync()
}

/// A body that breaks off after these bytes: the connection closes.
pub fn truncated(bytes: Bytes) -> Body {
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

/// A body that comes in pieces of this length, with a pause before each.
fn dripped(bytes: Bytes, piece: usize, pause: Duration) -> Body {
    let frames = stream::unfold(bytes, move |mut rest| async move {
        if rest.is_empty() {
            return None;
        }
        match pause {
            // The timer would make a millisecond of it.
            Duration::ZERO => tokio::task::yield_now().await,
            pause => tokio::time::sleep(pause).await,
        }
        let next = rest.split_to(piece.min(rest.len()));
        Some((Ok(Frame::data(next)), rest))
    });
    StreamBody::new(frames).boxed_unsync()
}

/// The pairs of a query or a form.
pub struct Form(Vec<(String, String)>);

impl Form {
    pub fn parse(text: &[u8]) -> Form {
        Form(form_urlencoded::parse(text).into_owned().collect())
    }

    /// These pairs, then the other's.
    pub fn and(mut self, other: Form) -> Form {
        self.0.extend(other.0);
        self
    }

    /// The first value of that name.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.all(name).next()
    }

    pub fn all(&self, name: &str) -> impl Iterator<Item = &str> {
        let pairs = self.0.iter().filter(move |(given, _)| given == name);
        pairs.map(|(_, value)| value.as_str())
    }
}

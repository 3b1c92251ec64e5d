//! What the fake registry does wrong once, between the socket and the store.

use std::io;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use hyper::{Method, Request, Response};

use super::{Host, RecordedRequest, State};
use crate::http::{Body, Reply};
use crate::lock;

/// What the registry does wrong, once.
#[derive(Clone)]
pub enum Fault {
    /// Responds with this instead of doing what it was asked.
    Respond(u16, &'static [(&'static str, &'static str)], &'static str),
    /// Does it, and responds with this status nevertheless.
    WrongStatus(u16),
    /// Does it, and closes the connection without a response.
    Disconnect,
    /// Does it, and never responds.
    Silence,
    /// Sends this much of the body and closes the connection.
    Truncate(usize),
    /// Reads this much of the request's body and closes the connection.
    CloseAfter(usize),
    /// Does not know any token that it has issued, from this request on.
    ExpireTokens,
    /// Spoils the first byte of the body.
    Corrupt,
}

/// Faults that wait for their request.
#[derive(Default)]
pub(super) struct Faults(Vec<(Method, String, Fault)>);

impl Faults {
    pub fn add(&mut self, method: Method, part: &str, fault: Fault) {
        self.0.push((method, part.to_owned(), fault));
    }

    fn take(&mut self, request: &RecordedRequest) -> Option<Fault> {
        let is_meant = |(method, part, _): &(Method, String, Fault)| {
            *method == request.method && request.target.contains(part)
        };
        let at = self.0.iter().position(is_meant)?;
        Some(self.0.remove(at).2)
    }
}

/// Answers a request; an error closes the connection.
pub(super) async fn handle(
    request: Request<Incoming>,
    host: Host,
    state: Arc<Mutex<State>>,
) -> io::Result<Response<Body>> {
    let (head, body) = request.into_parts();
    let request = RecordedRequest {
        method: head.method,
        host,
        target: head.uri.to_string(),
        headers: head.headers,
        at: Instant::now(),
    };
    let (fault, gate) = {
        let mut state = lock(&state);
        state.requests.push(request.clone());
        state.arrivals.send_replace(state.requests.len());
        (state.faults.take(&request), state.behavior.gate.clone())
    };
    match fault {
        Some(Fault::Respond(status, headers, text)) => {
            // Read, for a client that is still sending may not see the response.
            let _ = body.collect().await;
            let mut reply = Reply::new(status, text);
            for &(name, value) in headers {
                reply = reply.with(name, value);
            }
            return Ok(reply.into_response(&request.method));
        }
        Some(Fault::CloseAfter(length)) => return Err(close_after(body, length).await),
        _ => {}
    }
    if let Some(mut gate) = gate.filter(|_| request.method == Method::PATCH) {
        let _ = gate.wait_for(|is_open| *is_open).await;
    }
    let body = body.collect().await.map_err(io::Error::other)?.to_bytes();
    let mut reply = {
        let mut state = lock(&state);
        if let Some(Fault::ExpireTokens) = fault {
            state.tokens.expire();
        }
        state.reply(&request, body)
    };
    match fault {
        Some(Fault::WrongStatus(status)) => reply = Reply::empty(status),
        Some(Fault::Disconnect) => return Err(io::ErrorKind::ConnectionAborted.into()),
        Some(Fault::Silence) => {
            tokio::time::sleep(Duration::from_secs(3600)).await;
            return Err(io::ErrorKind::TimedOut.into());
        }
        Some(Fault::Corrupt) => {
            let mut body = reply.body.to_vec();
            body[0] ^= 1;
            reply.body = body.into();
        }
        Some(Fault::Truncate(length)) => reply = reply.truncated(length),
        Some(Fault::Respond(..) | Fault::CloseAfter(_) | Fault::ExpireTokens) | None => {}
    }
    Ok(reply.into_response(&request.method))
}

/// The error that closes the connection, when `length` bytes have been read.
async fn close_after(mut body: Incoming, length: usize) -> io::Error {
    let mut read = 0;
    while read < length
        && let Some(Ok(frame)) = body.frame().await
    {
        read += frame.data_ref().map_or(0, Bytes::len);
    }
    io::ErrorKind::ConnectionAborted.into()
}

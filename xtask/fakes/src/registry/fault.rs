//! What goes wrong with one request, between the socket and whoever answers it: the store, or a server behind a proxy.

use std::io;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use hyper::{Method, Request, Response};

use super::{Host, RecordedRequest, State};
use crate::http::{Body, Reply};
use crate::lock;

/// What goes wrong with a request.
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
    /// Takes this much of an upload's body and no more, and never responds.
    Hold(usize),
    /// Does not know any token that it has issued, from this request on.
    ExpireTokens,
    /// Spoils the first byte of the body.
    Corrupt,
    /// Spoils the byte at this offset of the body, or the last one.
    CorruptAt(usize),
    /// Does it so much later.
    Delay(Duration),
    /// Sends the body in pieces of this length, with a pause before each.
    Drip(usize, Duration),
    /// Sends the client there instead of doing what it was asked, with this status.
    Redirect(u16, String),
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
        // Without the host, which stands there when a proxy is asked.
        target: head
            .uri
            .path_and_query()
            .map_or_else(String::new, ToString::to_string),
        headers: head.headers,
        at: Instant::now(),
    };
    let (fault, gate) = {
        let mut state = lock(&state);
        state.requests.push(request.clone());
        state.arrivals.send_replace(state.requests.len());
        if state
            .behavior
            .away_until
            .is_some_and(|until| Instant::now() < until)
        {
            return Err(io::ErrorKind::ConnectionAborted.into());
        }
        let fault = state.rules.take(&request.method, &request.target);
        (fault, state.behavior.gate.clone())
    };
    let expires_tokens = matches!(fault, Some(Fault::ExpireTokens));
    let method = request.method.clone();
    if let Some(Fault::Hold(length)) = fault {
        let mut body = body;
        let taken = first_bytes(&mut body, length).await;
        let _ = lock(&state).reply(&request, taken);
        tokio::time::sleep(Duration::from_secs(3600)).await;
        return Err(io::ErrorKind::TimedOut.into());
    }
    let answer = async |body: Incoming| {
        if let Some(mut gate) = gate.filter(|_| request.method == Method::PATCH) {
            let _ = gate.wait_for(|is_open| *is_open).await;
        }
        let body = body.collect().await.map_err(io::Error::other)?.to_bytes();
        let mut state = lock(&state);
        if expires_tokens {
            state.tokens.expire();
        }
        Ok(state.reply(&request, body))
    };
    meet(fault, &method, body, answer).await
}

/// What `answer` makes of the request's body, as the fault spoils it.
pub(super) async fn meet<F>(
    fault: Option<Fault>,
    method: &Method,
    body: Incoming,
    answer: impl FnOnce(Incoming) -> F,
) -> io::Result<Response<Body>>
where
    F: Future<Output = io::Result<Reply>>,
{
    match &fault {
        Some(Fault::Respond(status, headers, text)) => {
            // Read, for a client that is still sending may not see the response.
            let _ = body.collect().await;
            let mut reply = Reply::new(*status, *text);
            for &(name, value) in *headers {
                reply = reply.with(name, value);
            }
            return Ok(reply.into_response(method));
        }
        Some(Fault::Redirect(status, location)) => {
            let _ = body.collect().await;
            let reply = Reply::empty(*status).with("location", location);
            return Ok(reply.into_response(method));
        }
        Some(Fault::CloseAfter(length)) => return Err(close_after(body, *length).await),
        Some(Fault::Delay(time)) => tokio::time::sleep(*time).await,
        _ => {}
    }
    let mut reply = answer(body).await?;
    match fault {
        Some(Fault::WrongStatus(status)) => reply = Reply::empty(status),
        Some(Fault::Disconnect) => return Err(io::ErrorKind::ConnectionAborted.into()),
        Some(Fault::Silence) => {
            tokio::time::sleep(Duration::from_secs(3600)).await;
            return Err(io::ErrorKind::TimedOut.into());
        }
        Some(Fault::Corrupt) => corrupt(&mut reply, 0),
        Some(Fault::CorruptAt(offset)) => corrupt(&mut reply, offset),
        Some(Fault::Truncate(length)) => reply = reply.truncated(length),
        Some(Fault::Drip(piece, pause)) => reply = reply.dripped(piece, pause),
        Some(
            Fault::Respond(..)
            | Fault::Redirect(..)
            | Fault::CloseAfter(_)
            | Fault::Delay(_)
            | Fault::Hold(_)
            | Fault::ExpireTokens,
        )
        | None => {}
    }
    Ok(reply.into_response(method))
}

fn corrupt(reply: &mut Reply, offset: usize) {
    let mut body = reply.body.to_vec();
    if let Some(last) = body.len().checked_sub(1) {
        body[offset.min(last)] ^= 1;
    }
    reply.body = body.into();
}

/// At least so much of the body, unless it is shorter.
async fn first_bytes(body: &mut Incoming, length: usize) -> Bytes {
    let mut taken = BytesMut::new();
    while taken.len() < length
        && let Some(Ok(frame)) = body.frame().await
    {
        taken.extend_from_slice(frame.data_ref().map_or(&[][..], |it| it));
    }
    taken.freeze()
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

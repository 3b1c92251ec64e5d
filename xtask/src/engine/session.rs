//! The client's end of a build session: through it BuildKit fetches the build context.
//!
//! As a request's body, the other way, an engine with containerd's image store cannot take it (moby#47717). It refuses to
//! know what is built. Invariant: the context is handed out once.

use std::io;
use std::pin::Pin;
use std::sync::{Mutex, PoisonError};

use bollard::health::health_check_response::ServingStatus;
use bollard::health::health_server::{Health, HealthServer};
use bollard::health::{
    HealthCheckRequest, HealthCheckResponse, HealthListRequest, HealthListResponse,
};
use bollard::moby::upload::v1::BytesMessage;
use bollard::moby::upload::v1::upload_server::{Upload, UploadServer};
use bytes::Bytes;
use futures_util::{Stream, StreamExt as _, stream};
use http_body_util::Empty;
use hyper::body::Incoming;
use hyper::header::{CONNECTION, HOST, UPGRADE};
use hyper::service::service_fn;
use hyper::upgrade::Upgraded;
use hyper::{Request, StatusCode};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};
use tokio::task::JoinSet;
use tonic::codegen::Service as _;
use tonic::{Request as Call, Response, Status, Streaming};
use url::Url;

/// The methods that are served here, as an engine wants them announced.
const METHODS: [&str; 2] = [
    "/moby.upload.v1.Upload/Pull",
    "/grpc.health.v1.Health/Check",
];

/// An open session. It ends when this is dropped.
pub(super) struct Session {
    /// Where the build finds the context.
    pub context: String,
    #[expect(dead_code, reason = "held, not read")]
    tasks: JoinSet<()>,
}

/// An engine with which a session can be opened.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Address {
    Socket(String),
    Tcp(String, u16),
}

impl Address {
    /// `None` for connections that only bollard can open, as with TLS.
    pub fn of(host: &str) -> Option<Address> {
        if let Some(path) = host.strip_prefix("unix://") {
            return Some(Address::Socket(path.to_owned()));
        }
        let url = Url::parse(host).ok()?;
        let name = url.host_str()?.to_owned();
        let is_plain = matches!(url.scheme(), "tcp" | "http");
        is_plain.then(|| Address::Tcp(name, url.port().unwrap_or(80)))
    }
}

/// Opens the session `id` with an engine.
pub(super) async fn open(
    address: &Address,
    id: &str,
    context: impl Stream<Item = io::Result<Bytes>> + Send + 'static,
) -> io::Result<Session> {
    let mut tasks = JoinSet::new();
    let connection = match address {
        Address::Socket(path) => upgrade(UnixStream::connect(path).await?, id, &mut tasks).await?,
        Address::Tcp(host, port) => {
            let connection = TcpStream::connect((&**host, *port)).await?;
            upgrade(connection, id, &mut tasks).await?
        }
    };
    let upload = UploadServer::new(Context(Mutex::new(Some(Box::pin(context)))));
    let health = HealthServer::new(Alive);
    let service = service_fn(move |request: Request<Incoming>| {
        let (mut upload, mut health) = (upload.clone(), health.clone());
        async move {
            match request.uri().path().starts_with("/grpc.health.") {
                true => health.call(request).await,
                false => upload.call(request).await,
            }
        }
    });
    tasks.spawn(async move {
        let server = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
        // When it breaks off, the build says so.
        let _ = server.serve_connection(connection, service).await;
    });
    Ok(Session {
        context: format!("http://buildkit-session/{id}"),
        tasks,
    })
}

/// Turns a connection to the engine into one on which the engine asks.
async fn upgrade(
    connection: impl AsyncRead + AsyncWrite + Send + Unpin + 'static,
    id: &str,
    tasks: &mut JoinSet<()>,
) -> io::Result<Upgraded> {
    let connection = TokioIo::new(connection);
    let (mut sender, connection) = hyper::client::conn::http1::handshake(connection)
        .await
        .map_err(io::Error::other)?;
    tasks.spawn(async {
        let _ = connection.with_upgrades().await;
    });
    let mut request = Request::post("/session")
        .header(HOST, "docker")
        .header(CONNECTION, "Upgrade")
        .header(UPGRADE, "h2c")
        .header("x-docker-expose-session-uuid", id);
    for method in METHODS {
        request = request.header("x-docker-expose-session-grpc-method", method);
    }
    let request = request.body(Empty::<Bytes>::new());
    let request = request.map_err(io::Error::other)?;
    let answer = sender.send_request(request).await;
    let answer = answer.map_err(io::Error::other)?;
    if answer.status() != StatusCode::SWITCHING_PROTOCOLS {
        let reason = format!("it answered {} to a build session", answer.status());
        return Err(io::Error::other(reason));
    }
    hyper::upgrade::on(answer).await.map_err(io::Error::other)
}

type Pieces = Pin<Box<dyn Stream<Item = io::Result<Bytes>> + Send>>;

/// The build context, until somebody takes it.
struct Context(Mutex<Option<Pieces>>);

#[tonic::async_trait]
impl Upload for Context {
    type PullStream = Pin<Box<dyn Stream<Item = Result<BytesMessage, Status>> + Send>>;

    async fn pull(
        &self,
        _: Call<Streaming<BytesMessage>>,
    ) -> Result<Response<Self::PullStream>, Status> {
        let mut context = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let context = context.take();
        let context = context.ok_or_else(|| Status::not_found("it was fetched before"))?;
        let messages = context.map(|piece| match piece {
            Ok(piece) => Ok(BytesMessage { data: piece.into() }),
            Err(error) => Err(Status::aborted(error.to_string())),
        });
        Ok(Response::new(Box::pin(messages)))
    }
}

/// An engine ends the session of a client that does not answer this.
struct Alive;

#[tonic::async_trait]
impl Health for Alive {
    type WatchStream = stream::Pending<Result<HealthCheckResponse, Status>>;

    async fn check(
        &self,
        _: Call<HealthCheckRequest>,
    ) -> Result<Response<HealthCheckResponse>, Status> {
        let status = ServingStatus::Serving.into();
        Ok(Response::new(HealthCheckResponse { status }))
    }

    async fn list(
        &self,
        _: Call<HealthListRequest>,
    ) -> Result<Response<HealthListResponse>, Status> {
        Err(Status::unimplemented("nobody asks for it"))
    }

    async fn watch(
        &self,
        _: Call<HealthCheckRequest>,
    ) -> Result<Response<Self::WatchStream>, Status> {
        Err(Status::unimplemented("nobody asks for it"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_needs_a_socket_or_plain_tcp() {
        let tcp = |name: &str, port| Some(Address::Tcp(name.to_owned(), port));
        for (host, address) in [
            (
                "unix:///run/x.sock",
                Some(Address::Socket("/run/x.sock".to_owned())),
            ),
            ("tcp://10.0.0.1:2375", tcp("10.0.0.1", 2375)),
            ("http://engine", tcp("engine", 80)),
            ("https://engine:2376", None),
            ("npipe:////./pipe/docker_engine", None),
        ] {
            assert_eq!(Address::of(host), address, "{host}");
        }
    }
}

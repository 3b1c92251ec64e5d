//! The client's end of a build session, through which BuildKit fetches the build context and asks for logins.
//!
//! An engine with containerd's image store cannot receive the context as a request's body (moby#47717). bollard opens a
//! session of the same name for every build, but after this one, so the engine refuses bollard's.

use std::io;
use std::pin::Pin;
use std::sync::Mutex;

use bollard::health::health_check_response::ServingStatus;
use bollard::health::health_server::{Health, HealthServer};
use bollard::health::{
    HealthCheckRequest, HealthCheckResponse, HealthListRequest, HealthListResponse,
};
use bollard::moby::filesync::v1::auth_server::AuthServer;
use bollard::moby::upload::v1::BytesMessage;
use bollard::moby::upload::v1::upload_server::{Upload, UploadServer};
use bytes::Bytes;
use futures_util::{Stream, StreamExt as _, stream};
use http_body_util::Empty;
use hyper::body::Incoming;
use hyper::client::conn::http1;
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

use super::build_login::{BuildLogins, LoginProvider};
use crate::image::ByteStream;

/// The methods that are served here, as announced to the engine.
const METHODS: [&str; 3] = [
    "/moby.upload.v1.Upload/Pull",
    "/moby.filesync.v1.Auth/Credentials",
    "/grpc.health.v1.Health/Check",
];

/// An open session.
pub(super) struct Session {
    id: String,
    connection: Upgraded,
    tasks: JoinSet<()>,
}

impl Session {
    /// Opens the session `id` with the engine at `host`, the value of `DOCKER_HOST`. `None` if only bollard can open
    /// such a connection, as with TLS, or if the engine has no sessions, as Podman.
    pub async fn open(host: &str, id: &str) -> Option<Session> {
        let mut tasks = JoinSet::new();
        let connection = if let Some(path) = host.strip_prefix("unix://") {
            let connection = UnixStream::connect(path).await.ok()?;
            upgrade(connection, id, &mut tasks).await
        } else {
            let url = Url::parse(host).ok()?;
            if !matches!(url.scheme(), "tcp" | "http") {
                return None;
            }
            let address = (url.host_str()?, url.port().unwrap_or(80));
            let connection = TcpStream::connect(address).await.ok()?;
            upgrade(connection, id, &mut tasks).await
        };
        Some(Session {
            id: id.to_owned(),
            connection: connection?,
            tasks,
        })
    }

    /// Serves `context` once, at the returned URL, and `logins` to a build of this session. Dropping the tasks stops
    /// it.
    pub fn serve(
        self,
        context: impl Stream<Item = io::Result<Bytes>> + Send + 'static,
        logins: BuildLogins,
    ) -> (String, JoinSet<()>) {
        let logins = AuthServer::new(LoginProvider(logins));
        let upload = UploadServer::new(Context(Mutex::new(Some(Box::pin(context)))));
        let health = HealthServer::new(Alive);
        let service = service_fn(move |request: Request<Incoming>| {
            let (mut upload, mut health) = (upload.clone(), health.clone());
            let mut logins = logins.clone();
            async move {
                let path = request.uri().path();
                if path.starts_with("/grpc.health.") {
                    health.call(request).await
                } else if path.starts_with("/moby.filesync.v1.Auth/") {
                    logins.call(request).await
                } else {
                    upload.call(request).await
                }
            }
        });
        let mut tasks = self.tasks;
        tasks.spawn(async move {
            let server = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
            // The build reports an error.
            let _ = server.serve_connection(self.connection, service).await;
        });
        (format!("http://buildkit-session/{}", self.id), tasks)
    }
}

/// Upgrades a connection to one on which the engine sends requests.
async fn upgrade(
    connection: impl AsyncRead + AsyncWrite + Send + Unpin + 'static,
    id: &str,
    tasks: &mut JoinSet<()>,
) -> Option<Upgraded> {
    let connection = TokioIo::new(connection);
    let (mut sender, connection) = http1::handshake(connection).await.ok()?;
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
    let request = request.body(Empty::<Bytes>::new()).ok()?;
    let response = sender.send_request(request).await.ok()?;
    match response.status() {
        StatusCode::SWITCHING_PROTOCOLS => hyper::upgrade::on(response).await.ok(),
        _ => None,
    }
}

/// The build context, until it is fetched.
struct Context(Mutex<Option<ByteStream>>);

#[tonic::async_trait]
impl Upload for Context {
    type PullStream = Pin<Box<dyn Stream<Item = Result<BytesMessage, Status>> + Send>>;

    async fn pull(
        &self,
        _: Call<Streaming<BytesMessage>>,
    ) -> Result<Response<Self::PullStream>, Status> {
        let mut context = self.0.lock().expect("no holder panics");
        let context = context.take();
        let context = context.ok_or_else(|| Status::not_found("it was fetched before"))?;
        let messages = context.map(|chunk| match chunk {
            Ok(chunk) => Ok(BytesMessage { data: chunk.into() }),
            Err(error) => Err(Status::aborted(error.to_string())),
        });
        Ok(Response::new(Box::pin(messages)))
    }
}

/// An engine closes the session of a client that does not respond to health checks.
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
        Err(Status::unimplemented("not used by engines"))
    }

    async fn watch(
        &self,
        _: Call<HealthCheckRequest>,
    ) -> Result<Response<Self::WatchStream>, Status> {
        Err(Status::unimplemented("not used by engines"))
    }
}

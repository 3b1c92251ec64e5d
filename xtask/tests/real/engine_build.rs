//! How a build context and a base image get to a real engine.

use std::io::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use fakes::registry::{AuthMode, Behavior, FakeRegistry, PASSWORD, USER};
use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, copy};
use tokio::net::{TcpListener, UnixStream};
use xtask::credentials::Credentials;
use xtask::engine::{BuildLogins, Engine, Error};
use xtask::oci::{Digest, media_type};
use xtask::secret::Secret;

use crate::engine::{COPY_ONLY, NOBODY, Sample, architecture, docker, engine};
use crate::servers::distribution::Distribution;
use crate::support::{client, images};

/// The engine at an address of its own, and whether it was told to fetch a context through a session. With `sessions`
/// false it has none, as Podman.
async fn at_an_address(sessions: bool) -> (Engine, Arc<AtomicBool>) {
    let host = std::env::var("DOCKER_HOST");
    let host = host.unwrap_or_else(|_| "unix:///var/run/docker.sock".to_owned());
    let socket = host.strip_prefix("unix://").expect("a socket").to_owned();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let told = Arc::new(AtomicBool::new(false));
    let tell = Arc::clone(&told);
    tokio::spawn(async move {
        while let Ok((mut near, _)) = listener.accept().await {
            let (socket, tell) = (socket.clone(), Arc::clone(&tell));
            tokio::spawn(async move {
                let mut head = [0; 13];
                near.read_exact(&mut head).await.unwrap();
                if head == *b"POST /session" && !sessions {
                    let refusal = b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n";
                    near.write_all(refusal).await.unwrap();
                    return;
                }
                let mut far = UnixStream::connect(&socket).await.unwrap();
                far.write_all(&head).await.unwrap();
                let (mut answer, mut far) = far.into_split();
                let (mut near, mut back) = near.into_split();
                tokio::spawn(async move { copy(&mut answer, &mut back).await });
                let mut piece = vec![0; 1 << 16];
                while let Ok(length @ 1..) = near.read(&mut piece).await {
                    if String::from_utf8_lossy(&piece[..length]).contains("buildkit-session") {
                        tell.store(true, Ordering::Relaxed);
                    }
                    if far.write_all(&piece[..length]).await.is_err() {
                        break;
                    }
                }
            });
        }
    });
    let engine = Engine::connect(Some(&format!("tcp://{address}"))).await;
    (engine.unwrap(), told)
}

/// An image of one layer for this machine, and the layer's diff id.
fn base() -> (images::Sample, Digest) {
    let mut layer = tar::Builder::new(Vec::new());
    let mut header = tar::Header::new_gnu();
    header.set_size(4);
    header.set_mode(0o644);
    layer
        .append_data(&mut header, "base", &b"base"[..])
        .unwrap();
    let layer = layer.into_inner().unwrap();
    let config = json!({
        "os": "linux",
        "architecture": architecture(),
        "rootfs": { "type": "layers", "diff_ids": [Digest::sha256_of(&layer)] },
    });
    let mut packed = GzEncoder::new(Vec::new(), Compression::fast());
    packed.write_all(&layer).unwrap();
    let base = images::manifest(
        media_type::OCI_MANIFEST,
        (
            "application/vnd.oci.image.config.v1+json",
            config.to_string().into(),
        ),
        &[(
            "application/vnd.oci.image.layer.v1.tar+gzip",
            packed.finish().unwrap().into(),
        )],
    );
    (base, Digest::sha256_of(&layer))
}

#[tokio::test]
async fn a_base_image_is_pulled_with_a_token_for_nobody() {
    let registry = FakeRegistry::start(Behavior {
        auth: AuthMode::Tokens,
        ..Behavior::default()
    })
    .await;
    let (base, layer) = base();
    base.place(&registry, "public/base", "1");
    let dockerfile = format!(
        "FROM {}/public/base:1\nCOPY lib-amd64 /lib\n",
        registry.host
    );
    let sample = Sample::new(&dockerfile);
    sample.build(&engine().await).await;
    let name = &sample.plan.tag;
    let layers = docker(&[
        "image",
        "inspect",
        "--format",
        "{{json .RootFS.Layers}}",
        name,
    ]);
    assert!(layers.contains(layer.as_str()), "{layers}");
}

#[tokio::test]
async fn a_build_has_a_session_and_needs_none() {
    for sessions in [true, false] {
        let (engine, told) = at_an_address(sessions).await;
        let sample = Sample::new(COPY_ONLY);
        let id = sample.build(&engine).await.to_string();
        let name = &sample.plan.tag;
        let format = "{{.Id}}";
        assert_eq!(docker(&["image", "inspect", "--format", format, name]), id);
        assert_eq!(told.load(Ordering::Relaxed), sessions);
    }
}

#[tokio::test]
async fn a_private_base_image_is_pulled_with_its_registrys_login() {
    let registry = Distribution::with_user(USER, PASSWORD);
    let (base, layer) = base();
    let login = Credentials::Basic {
        username: USER.to_owned(),
        password: Secret::new(PASSWORD.to_owned()),
    };
    let repository = client::registry(&registry.host, login.clone()).repository("team/base");
    base.push(&repository, "1").await;
    let sample = Sample::new(&format!(
        "FROM {}/team/base:1\nCOPY lib-amd64 /lib\n",
        registry.host
    ));
    let engine = engine().await;
    let refused = engine.build(&sample.plan, &NOBODY, &|_| ()).await;
    assert!(matches!(refused, Err(Error::Build { .. })), "{refused:?}");
    let logins = BuildLogins::from([(registry.host.clone(), login)]);
    engine.build(&sample.plan, &logins, &|_| ()).await.unwrap();
    assert_eq!(layers(&sample)[0], layer.as_str());
}

/// The diff ids of the image, from the bottom.
fn layers(sample: &Sample) -> Vec<String> {
    let format = "{{json .RootFS.Layers}}";
    let text = docker(&["image", "inspect", "--format", format, &sample.plan.tag]);
    serde_json::from_str(&text).unwrap()
}

/// The layer below differs, so that the engine's cache does not have the step.
#[tokio::test]
async fn what_is_copied_is_the_same_layer_in_the_next_release() {
    let engine = engine().await;
    let mut made = Vec::new();
    for release in 0..2 {
        let mut sample = Sample::new("FROM scratch\nCOPY first /\nCOPY folders/ /\n");
        sample.plan.timestamp += 86_400 * release;
        let unique = format!("{} {release}", std::process::id());
        sample.write("first", unique);
        sample.write("folders/app/file", std::process::id().to_string());
        sample.build(&engine).await;
        made.push(layers(&sample));
    }
    assert_ne!(made[0][0], made[1][0]);
    assert_eq!(made[0][1], made[1][1]);
}

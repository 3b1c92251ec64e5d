//! Registries with a certificate that nobody has signed: refused, with what would make them trusted, until somebody
//! says so.

use std::sync::Arc;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use fakes::registry::{AuthMode, Behavior, FakeRegistry, PASSWORD, USER};
use rcgen::{BasicConstraints, CertificateParams, IsCa, KeyPair};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

use crate::support::sync_fixture::{SyncFixture, digest};

/// A key, and its certificate, for `0.0.0.0`. That address reaches this machine, and is none that is taken for it.
struct Identity {
    certificate: CertificateDer<'static>,
    key: KeyPair,
}

impl Identity {
    /// As `openssl req -x509` makes it: a CA that is its own server.
    fn authority() -> Identity {
        Identity::new(IsCa::Ca(BasicConstraints::Unconstrained))
    }

    fn new(is_ca: IsCa) -> Identity {
        let mut it = CertificateParams::new(["0.0.0.0".to_owned()]).unwrap();
        it.is_ca = is_ca;
        let key = KeyPair::generate().unwrap();
        let certificate = it.self_signed(&key).unwrap().into();
        Identity { certificate, key }
    }

    fn pem(&self) -> String {
        pem("CERTIFICATE", &self.certificate)
    }

    fn key_pem(&self) -> String {
        pem("PRIVATE KEY", &self.key.serialize_der())
    }
}

fn pem(label: &str, der: &[u8]) -> String {
    let body = BASE64_STANDARD.encode(der);
    format!("-----BEGIN {label}-----\n{body}\n-----END {label}-----\n")
}

/// TLS before the server at `host`, for as long as the test runs; its port.
async fn tls_before(host: &str, server: &Identity) -> u16 {
    tls(host, server, None).await
}

/// The same, for `client` alone if there is one.
async fn tls(host: &str, server: &Identity, client: Option<&Identity>) -> u16 {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let config = match client {
        None => ServerConfig::builder().with_no_client_auth(),
        Some(client) => {
            let mut known = RootCertStore::empty();
            known.add(client.certificate.clone()).unwrap();
            let verifier = WebPkiClientVerifier::builder(Arc::new(known));
            ServerConfig::builder().with_client_cert_verifier(verifier.build().unwrap())
        }
    };
    let chain = vec![server.certificate.clone()];
    let key = PrivateKeyDer::try_from(server.key.serialize_der()).unwrap();
    let config = config.with_single_cert(chain, key).unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let host = host.to_owned();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let (acceptor, host) = (acceptor.clone(), host.clone());
            tokio::spawn(async move {
                let mut client = acceptor.accept(stream).await?;
                let mut server = TcpStream::connect(host).await?;
                tokio::io::copy_bidirectional(&mut client, &mut server).await
            });
        }
    });
    port
}

async fn registries() -> (FakeRegistry, FakeRegistry) {
    let closed = Behavior {
        auth: AuthMode::Basic,
        ..Behavior::default()
    };
    let source = FakeRegistry::start(Behavior::default()).await;
    (source, FakeRegistry::start(closed).await)
}

/// A fixture that copies an image to `destination`, with a login and whatever else there is to say.
async fn fixture(source: &FakeRegistry, destination: &str, more: &str) -> SyncFixture {
    let fixture = SyncFixture::between(&[("source.io", &source.host)]);
    fixture.publish("source.io/app:v1", &["linux/amd64"]).await;
    fixture.write(
        "images.yaml",
        &format!("source.io/app:v1: {destination}/app"),
    );
    let login = format!("'{destination}': {{username: {USER}, password: '{PASSWORD}'{more}}}");
    fixture.write("auth.yaml", &login);
    fixture
}

const SYNC: [&str; 7] = [
    "images.yaml",
    "--auth",
    "auth.yaml",
    "--retries",
    "0",
    "--report",
    "report.json",
];

/// Expects that nothing was copied, for this reason; a table would break its line.
async fn refused(fixture: &SyncFixture, reason: &str) {
    fixture.sync(&SYNC).await.expect(1, &[]);
    let report = fixture.read("report.json");
    assert!(report.contains(reason), "{report}");
}

#[tokio::test(flavor = "multi_thread")]
async fn tls_on_this_machine_needs_nothing() {
    let (source, good) = registries().await;
    let address = format!(
        "127.0.0.1:{}",
        tls_before(&good.host, &Identity::authority()).await
    );
    let fixture = fixture(&source, &address, "").await;
    fixture.sync(&SYNC).await.expect(0, &[]);
    assert_eq!(digest(&good, "app", "v1"), digest(&source, "app", "v1"));
}

// Elsewhere the system itself judges, and `SSL_CERT_FILE` is nothing to it.
#[cfg(target_os = "linux")]
#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_that_signs_itself_is_trusted_by_naming_it() {
    let ((source, good), server) = (registries().await, Identity::authority());
    let address = format!("0.0.0.0:{}", tls_before(&good.host, &server).await);
    let mut fixture = fixture(&source, &address, "").await;
    refused(&fixture, "its certificate is signed by").await;
    refused(&fixture, "hint: to trust it").await;
    assert!(good.requests().is_empty());

    fixture.write("home/self.pem", &server.pem());
    let home = fixture.workspace.path().join("home");
    let file = home.join("self.pem");
    let named = file.to_str().unwrap();
    fixture.workspace.set("SSL_CERT_FILE", named);
    fixture.sync(&SYNC).await.expect(0, &["created"]);
    fixture.workspace.set("SSL_CERT_FILE", "");

    fixture.workspace.set("HOME", home.to_str().unwrap());
    let own = format!("home/.config/containers/certs.d/{address}/ca.crt");
    fixture.write(&own, &server.pem());
    fixture.sync(&SYNC).await.expect(0, &["1 of 1 in place"]);
    fixture.write(&own, "-----BEGIN CERTIFICATE-----\n");
    refused(&fixture, "ca.crt` is not readable").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn insecure_is_tls_that_nobody_checks_and_else_plain_http_with_a_warning() {
    let (source, good) = registries().await;
    let tls = format!(
        "0.0.0.0:{}",
        tls_before(&good.host, &Identity::authority()).await
    );
    let plain = good.host.replace("127.0.0.1", "0.0.0.0");
    let clear = "does not speak TLS: its password can be read on the way";
    let over_tls = fixture(&source, &tls, ", insecure: true").await;
    let run = over_tls.sync(&SYNC).await;
    run.expect(0, &["created"]);
    assert!(!run.to_string().contains(clear), "{run}");
    let over_http = fixture(&source, &plain, ", insecure: true").await;
    over_http
        .sync(&SYNC)
        .await
        .expect(0, &["1 of 1 in place", clear]);
    let secure = fixture(&source, &plain, "").await;
    secure.sync(&SYNC).await.expect(1, &["cannot be reached"]);
}

#[cfg(target_os = "linux")]
#[tokio::test(flavor = "multi_thread")]
async fn a_registry_that_knows_its_clients_gets_the_certificate_of_its_directory() {
    let ((source, good), server, client) = (
        registries().await,
        Identity::authority(),
        Identity::new(IsCa::NoCa),
    );
    let address = format!("0.0.0.0:{}", tls(&good.host, &server, Some(&client)).await);
    let mut fixture = fixture(&source, &address, "").await;
    let home = fixture.workspace.path().join("home");
    fixture.workspace.set("HOME", home.to_str().unwrap());
    let own = format!("home/.config/containers/certs.d/{address}");
    fixture.write(&format!("{own}/ca.crt"), &server.pem());
    refused(&fixture, "hint: if it knows its clients by certificates").await;

    fixture.write(&format!("{own}/client.cert"), &client.pem());
    refused(&fixture, "client.cert` is not readable: its `.key`").await;
    fixture.write(&format!("{own}/client.key"), &client.key_pem());
    fixture.sync(&SYNC).await.expect(0, &["created"]);
}

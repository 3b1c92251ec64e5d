//! Registries with a certificate that nobody has signed: refused, with what would make them trusted, until somebody
//! says so.

use std::sync::Arc;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use fakes::registry::{AuthMode, Behavior, FakeRegistry, PASSWORD, USER};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair, SanType, date_time_ymd};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use tokio::io::AsyncWriteExt as _;
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
        Identity::changed(|_| {})
    }

    /// The same, but for something.
    fn changed(change: impl FnOnce(&mut CertificateParams)) -> Identity {
        let mut it = parameters();
        it.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        change(&mut it);
        let key = KeyPair::generate().unwrap();
        let certificate = it.self_signed(&key).unwrap().into();
        Identity { certificate, key }
    }

    /// A server's, signed by this one.
    fn signs(&self) -> Identity {
        let key = KeyPair::generate().unwrap();
        let issuer = Issuer::new(parameters(), &self.key);
        let certificate = parameters().signed_by(&key, &issuer).unwrap().into();
        Identity { certificate, key }
    }

    fn pem(&self) -> String {
        pem("CERTIFICATE", &self.certificate)
    }

    fn key_pem(&self) -> String {
        pem("PRIVATE KEY", &self.key.serialize_der())
    }
}

fn parameters() -> CertificateParams {
    CertificateParams::new(["0.0.0.0".to_owned()]).unwrap()
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

/// TLS that gives plain HTTP this answer; its port.
async fn with_answer_to_plain_http(tls: u16, answer: &'static str) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((mut client, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut first = [0];
                client.peek(&mut first).await?;
                if first != [HANDSHAKE] {
                    return client.write_all(answer.as_bytes()).await;
                }
                let mut server = TcpStream::connect(("127.0.0.1", tls)).await?;
                tokio::io::copy_bidirectional(&mut client, &mut server).await?;
                Ok(())
            });
        }
    });
    port
}

/// The first byte of TLS.
const HANDSHAKE: u8 = 22;

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
    // This one's answer to plain HTTP is TLS as well.
    let tls = tls_before(&good.host, &Identity::authority()).await;
    let go = "HTTP/1.0 400 Bad Request\r\n\r\nClient sent an HTTP request to an HTTPS server.\n";
    let as_go_does = with_answer_to_plain_http(tls, go).await;
    for (port, said) in [(tls, "created"), (as_go_does, "1 of 1 in place")] {
        let fixture = fixture(&source, &format!("127.0.0.1:{port}"), "").await;
        fixture.sync(&SYNC).await.expect(0, &[said]);
    }
    assert_eq!(digest(&good, "app", "v1"), digest(&source, "app", "v1"));
    // Others close the connection, as one does that has died: here it takes a word.
    let mute = with_answer_to_plain_http(tls, "").await;
    let told = fixture(&source, &format!("127.0.0.1:{mute}"), ", insecure: true").await;
    told.sync(&SYNC).await.expect(0, &["1 of 1 in place"]);
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
    fixture.workspace.set("SSL_CERT_FILE", "/nonexistent");
    refused(&fixture, "no certificates by which").await;
    refused(&fixture, "'/nonexistent'").await;
    // Certificates of a folder do not hide that the file is none.
    let folder = tempfile::tempdir().unwrap();
    let other = Identity::authority().pem();
    std::fs::write(folder.path().join("other.pem"), other).unwrap();
    let names = folder.path().to_str().unwrap();
    fixture.workspace.set("SSL_CERT_DIR", names);
    refused(&fixture, "'/nonexistent'").await;
    fixture
        .workspace
        .set("SSL_CERT_DIR", home.to_str().unwrap());
    fixture.sync(&SYNC).await.expect(0, &["1 of 1 in place"]);
    fixture.workspace.set("SSL_CERT_DIR", "");

    fixture.workspace.set("HOME", home.to_str().unwrap());
    let own = format!("home/.config/containers/certs.d/{address}/ca.crt");
    fixture.write(&own, &server.pem());
    fixture.sync(&SYNC).await.expect(0, &["1 of 1 in place"]);
    fixture.write(&own, "-----BEGIN CERTIFICATE-----\n");
    refused(&fixture, "ca.crt` cannot be used").await;
}

#[cfg(target_os = "linux")]
#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_that_is_named_counts_for_its_name_and_its_time_alone() {
    let (source, good) = registries().await;
    let name = || "elsewhere.test".to_owned().try_into().unwrap();
    for (server, reason) in [
        (
            Identity::changed(|it| it.subject_alt_names = vec![SanType::DnsName(name())]),
            "its certificate is for another name",
        ),
        (
            Identity::changed(|it| it.not_after = date_time_ymd(2001, 1, 1)),
            "its certificate has expired",
        ),
    ] {
        let address = format!("0.0.0.0:{}", tls_before(&good.host, &server).await);
        let mut fixture = fixture(&source, &address, "").await;
        fixture.write("self.pem", &server.pem());
        let file = fixture.workspace.path().join("self.pem");
        let named = file.to_str().unwrap();
        fixture.workspace.set("SSL_CERT_FILE", named);
        refused(&fixture, reason).await;
    }
    assert!(good.requests().is_empty());
}

#[cfg(target_os = "linux")]
#[tokio::test(flavor = "multi_thread")]
async fn what_the_ca_of_a_registrys_directory_has_signed_is_trusted_there_alone() {
    let ((source, good), authority) = (registries().await, Identity::authority());
    let server = authority.signs();
    let ports = [
        tls_before(&good.host, &server).await,
        tls_before(&good.host, &server).await,
    ];
    let [there, elsewhere] = ports.map(|port| format!("0.0.0.0:{port}"));
    for (address, is_trusted) in [(&there, true), (&elsewhere, false)] {
        let mut fixture = fixture(&source, address, "").await;
        let home = fixture.workspace.path().join("home");
        fixture.workspace.set("HOME", home.to_str().unwrap());
        let own = format!("home/.docker/certs.d/{there}/ca.crt");
        fixture.write(&own, &authority.pem());
        match is_trusted {
            true => fixture.sync(&SYNC).await.expect(0, &["created"]),
            false => refused(&fixture, "its certificate is signed by nobody").await,
        }
    }
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
        Identity::changed(|it| it.is_ca = IsCa::NoCa),
    );
    let address = format!("0.0.0.0:{}", tls(&good.host, &server, Some(&client)).await);
    let mut fixture = fixture(&source, &address, "").await;
    let home = fixture.workspace.path().join("home");
    fixture.workspace.set("HOME", home.to_str().unwrap());
    let own = format!("home/.config/containers/certs.d/{address}");
    fixture.write(&format!("{own}/ca.crt"), &server.pem());
    refused(&fixture, "hint: if it knows its clients by certificates").await;

    fixture.write(&format!("{own}/client.cert"), &client.pem());
    refused(&fixture, "client.cert` cannot be used: its key").await;
    fixture.write(&format!("{own}/client.key"), &client.key_pem());
    fixture.sync(&SYNC).await.expect(0, &["created"]);
}

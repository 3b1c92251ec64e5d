//! Proxies of the environment: asked for what is elsewhere, with their login, named when they fail.

use std::sync::{Arc, Mutex};

use fakes::registry::{Behavior, FakeRegistry};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use crate::support::dead_address;
use crate::support::sync_fixture::{SyncFixture, digest};

/// A proxy that notes the head of each connection's first request; its address.
async fn proxy() -> (String, Arc<Mutex<Vec<String>>>) {
    let heads = Arc::new(Mutex::new(Vec::new()));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let noted = Arc::clone(&heads);
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            tokio::spawn(pass(client, Arc::clone(&noted)));
        }
    });
    (address, heads)
}

async fn pass(mut client: TcpStream, noted: Arc<Mutex<Vec<String>>>) -> std::io::Result<()> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(client.read_u8().await?);
    }
    let text = String::from_utf8(head.clone()).unwrap();
    noted.lock().unwrap().push(text.clone());
    let target = text.split(' ').nth(1).unwrap();
    let host = target.trim_start_matches("http://").split('/').next();
    let mut server = TcpStream::connect(host.unwrap()).await?;
    match text.starts_with("CONNECT ") {
        true => client.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await?,
        false => server.write_all(&head).await?,
    }
    tokio::io::copy_bidirectional(&mut client, &mut server).await?;
    Ok(())
}

const SYNC: [&str; 5] = ["images.yaml", "--auth", "auth.yaml", "--retries", "0"];

#[tokio::test(flavor = "multi_thread")]
async fn what_is_elsewhere_is_asked_for_by_the_proxy_unless_no_proxy_says_so() {
    let (source, target) = (
        FakeRegistry::start(Behavior::default()).await,
        FakeRegistry::start(Behavior::default()).await,
    );
    // Reaches this machine, and is none that is taken for it.
    let elsewhere = target.host.replace("127.0.0.1", "0.0.0.0");
    let (address, heads) = proxy().await;
    let mut fixture = SyncFixture::between(&[("source.io", &source.host)]);
    fixture.publish("source.io/app:v1", &["linux/amd64"]).await;
    fixture.write("images.yaml", &format!("source.io/app:v1: {elsewhere}/app"));
    fixture.write("auth.yaml", &format!("'{elsewhere}': {{insecure: true}}"));

    let login = format!("http://someone:geheim-9@{address}");
    fixture.workspace.set("all_proxy", &login);
    fixture.workspace.set("NO_PROXY", "0.0.0.0:1, 10.0.0.0/8");
    fixture.sync(&SYNC).await.expect(0, &["created"]);
    assert_eq!(digest(&target, "app", "v1"), digest(&source, "app", "v1"));
    let asked = std::mem::take(&mut *heads.lock().unwrap());
    let (tls, plain): (Vec<_>, Vec<_>) = asked.iter().partition(|it| it.starts_with("CONNECT "));
    assert!(!tls.is_empty() && !plain.is_empty(), "{asked:?}");
    for head in &asked {
        let head = head.to_ascii_lowercase();
        assert!(
            head.contains("proxy-authorization: basic c29tzw9uztpnzwhlaw0toq=="),
            "{head}"
        );
    }

    fixture.workspace.set("NO_PROXY", &elsewhere);
    fixture.sync(&SYNC).await.expect(0, &["1 of 1 in place"]);
    assert!(heads.lock().unwrap().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_proxy_that_does_not_answer_is_named_and_one_that_is_none_is_a_wrong_setting() {
    let source = FakeRegistry::start(Behavior::default()).await;
    let mut fixture = SyncFixture::between(&[("source.io", &source.host)]);
    fixture.publish("source.io/app:v1", &["linux/amd64"]).await;
    fixture.write("images.yaml", "source.io/app:v1: 192.0.2.1/app");
    let sync = ["images.yaml", "--retries", "0", "--report", "report.json"];

    let dead = dead_address();
    let proxy = format!("http://someone:geheim-9@{dead}");
    fixture.workspace.set("HTTPS_PROXY", &proxy);
    let run = fixture.sync(&sync).await;
    run.expect(1, &[]);
    let report = fixture.read("report.json");
    assert!(
        report.contains(&format!("by way of the proxy `{dead}`")),
        "{report}"
    );
    assert!(!format!("{run}{report}").contains("geheim"), "{run}");

    fixture
        .workspace
        .set("HTTPS_PROXY", "ftp://someone:geheim-9@proxy");
    let run = fixture.sync(&sync).await;
    run.expect(2, &["`HTTPS_PROXY` is not the address of a proxy"]);
    assert!(!run.to_string().contains("geheim"), "{run}");
}

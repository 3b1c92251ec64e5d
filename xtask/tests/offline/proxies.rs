//! Proxies of the environment: asked for what is elsewhere, with their login, named when they fail.

use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex};

use fakes::registry::{AuthMode, Behavior, FakeRegistry, PASSWORD, USER};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use crate::support::dead_address;
use crate::support::sync_fixture::{SyncFixture, digest};

type Noted = Arc<Mutex<Vec<String>>>;

/// A proxy that notes the head of each connection's first request; its address. What an IPv6 address names is at `at`.
async fn proxy(at: &str) -> (String, Noted) {
    let heads = Arc::new(Mutex::new(Vec::new()));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let (noted, at) = (Arc::clone(&heads), at.to_owned());
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            tokio::spawn(pass(client, Arc::clone(&noted), at.clone()));
        }
    });
    (address, heads)
}

async fn pass(mut client: TcpStream, noted: Noted, at: String) -> std::io::Result<()> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(client.read_u8().await?);
    }
    let text = String::from_utf8(head.clone()).unwrap();
    noted.lock().unwrap().push(text.clone());
    let target = text.split(' ').nth(1).unwrap();
    let host = target.trim_start_matches("http://").split('/').next();
    let host = host.filter(|it| !it.starts_with('[')).unwrap_or(&at);
    let mut server = TcpStream::connect(host).await?;
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
    let (address, heads) = proxy("").await;
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

    // An entry that is nothing of the kind is told once, and the others count.
    let wrong = format!("10.0.0.0/33 {elsewhere}");
    fixture.workspace.set("NO_PROXY", &wrong);
    let run = fixture.sync(&SYNC).await;
    let warning = "warning: `NO_PROXY`: `10.0.0.0/33` is no host, domain or network";
    run.expect(0, &[warning]);
    assert_eq!(run.stderr.matches("10.0.0.0/33").count(), 1, "{run}");
    assert!(heads.lock().unwrap().is_empty());
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

#[tokio::test(flavor = "multi_thread")]
async fn an_ipv6_address_may_stand_wherever_a_host_may() {
    let target = FakeRegistry::start(Behavior {
        auth: AuthMode::Basic,
        ..Behavior::default()
    })
    .await;
    let source = FakeRegistry::start(Behavior::default()).await;
    // Not every machine has IPv6: a proxy has.
    let (address, heads) = proxy(&target.host).await;
    let mut fixture = SyncFixture::between(&[("source.io", &source.host)]);
    fixture.publish("source.io/app:v1", &["linux/amd64"]).await;
    fixture.workspace.set("ALL_PROXY", &address);
    let login = format!("{{username: {USER}, password: '{PASSWORD}', insecure: true}}");
    fixture.write("auth.yaml", &format!("'[FD00:0:0::1]:5000': {login}"));
    fixture.write("images.yaml", "source.io/app:v1: '[fd00::1]:5000/app'");
    fixture.sync(&SYNC).await.expect(0, &["created"]);
    assert_eq!(digest(&target, "app", "v1"), digest(&source, "app", "v1"));
    assert!(!heads.lock().unwrap().is_empty());
}

/// A SOCKS proxy; its address. By version 5 it asks who it is (RFC 1928 and 1929), which version 4 cannot say.
async fn socks() -> (String, Noted) {
    let logins = Noted::default();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let noted = Arc::clone(&logins);
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            tokio::spawn(pass_socks(client, Arc::clone(&noted)));
        }
    });
    (address, logins)
}

async fn pass_socks(mut client: TcpStream, noted: Noted) -> std::io::Result<()> {
    let text = async |client: &mut TcpStream| {
        let mut text = vec![0; usize::from(client.read_u8().await?)];
        client.read_exact(&mut text).await?;
        std::io::Result::Ok(String::from_utf8(text).unwrap())
    };
    if client.read_u8().await? == 4 {
        assert_eq!(client.read_u8().await?, 1);
        let (port, host) = (client.read_u16().await?, client.read_u32().await?);
        while client.read_u8().await? != 0 {}
        noted.lock().unwrap().push("version 4".to_owned());
        let mut server = TcpStream::connect((Ipv4Addr::from(host), port)).await?;
        client.write_all(&[0, 90, 0, 0, 0, 0, 0, 0]).await?;
        tokio::io::copy_bidirectional(&mut client, &mut server).await?;
        return Ok(());
    }
    text(&mut client).await?;
    client.write_all(&[5, 2]).await?;
    assert_eq!(client.read_u8().await?, 1);
    let (user, password) = (text(&mut client).await?, text(&mut client).await?);
    noted.lock().unwrap().push(format!("{user}:{password}"));
    client.write_all(&[1, 0]).await?;
    let mut request = [0; 4];
    client.read_exact(&mut request).await?;
    assert_eq!(request[..3], [5, 1, 0]);
    let host = match request[3] {
        3 => text(&mut client).await?,
        _ => Ipv4Addr::from(client.read_u32().await?).to_string(),
    };
    let port = client.read_u16().await?;
    let mut server = TcpStream::connect((host, port)).await?;
    client.write_all(&[5, 0, 0, 1, 0, 0, 0, 0, 0, 0]).await?;
    tokio::io::copy_bidirectional(&mut client, &mut server).await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_socks_proxy_is_one_too() {
    let (source, target) = (
        FakeRegistry::start(Behavior::default()).await,
        FakeRegistry::start(Behavior::default()).await,
    );
    let elsewhere = target.host.replace("127.0.0.1", "0.0.0.0");
    let (address, logins) = socks().await;
    let mut fixture = SyncFixture::between(&[("source.io", &source.host)]);
    fixture.publish("source.io/app:v1", &["linux/amd64"]).await;
    fixture.write("auth.yaml", &format!("'{elsewhere}': {{insecure: true}}"));
    for (scheme, login) in [
        ("socks4", "version 4"),
        ("socks4a", "version 4"),
        ("socks5", "someone:geheim-9"),
        ("socks5h", "someone:geheim-9"),
    ] {
        fixture.write(
            "images.yaml",
            &format!("source.io/app:v1: {elsewhere}/{scheme}"),
        );
        let proxy = format!("{scheme}://someone:geheim-9@{address}");
        fixture.workspace.set("ALL_PROXY", &proxy);
        fixture.sync(&SYNC).await.expect(0, &["created"]);
        let (there, here) = (digest(&target, scheme, "v1"), digest(&source, "app", "v1"));
        assert_eq!(there, here);
        let logins = std::mem::take(&mut *logins.lock().unwrap());
        assert!(!logins.is_empty() && logins.iter().all(|it| it == login));
    }
}

//! A machine without certificates, as a bare Debian is: what stays on it needs none, and `https` says what is missing.

use crate::support::release_fixture::ReleaseFixture;

#[tokio::test(flavor = "multi_thread")]
async fn https_alone_needs_certificates_and_names_the_package() {
    let mut fixture = ReleaseFixture::new(3).await;
    for variable in ["SSL_CERT_FILE", "SSL_CERT_DIR"] {
        fixture.workspace.set(variable, "/nonexistent");
    }
    let run = fixture.workspace.run(&["release"]).await;
    run.expect(0, &["release 1.2.3: done"]);

    let hint = "hint: install the package `ca-certificates`";
    let index = ("RELEASE_PACKAGE_INDEX_URL", "https://packages.test/");
    fixture.workspace.set(index.0, index.1);
    let run = fixture.workspace.run(&["download"]).await;
    run.expect(1, &[hint]);
    fixture.workspace.set("DOCKER_REGISTRY", "registry.test");
    let run = fixture.workspace.run(&["check"]).await;
    run.expect(
        3,
        &[
            "`https://registry.test/` cannot be reached",
            "ca-certificates",
        ],
    );
}

//! The registry client against a real registry, and against one that misbehaves.

use xtask::registry::{
    Credentials, Descriptor, Digest, Error, Manifest, Options, Platform, Registry, Repository,
    TagOrDigest, index_of, media,
};
use xtask::secret::Secret;

use crate::support::distribution::{Distribution, free_address};

fn registry(host: &str, credentials: Credentials) -> Registry {
    let _ = rustls::crypto::ring::default_provider().install_default();
    Registry::new(host, credentials, Options::default()).expect("a client")
}

fn login(username: &str, password: &str) -> Credentials {
    Credentials::Basic {
        username: username.to_owned(),
        password: Secret::new(password.to_owned()),
    }
}

fn tag(text: &str) -> TagOrDigest {
    TagOrDigest::Tag(text.parse().expect("a tag"))
}

const PASSWORD: &str = "p>>>p~~~?$";

#[tokio::test]
async fn a_login_with_an_odd_password_may_push() {
    let server = Distribution::with_user("robot$x", PASSWORD);
    let good = registry(&server.host, login("robot$x", PASSWORD));
    good.repository("a/b").may_push().await.expect("may push");
}

#[tokio::test]
async fn a_wrong_password_is_rejected_and_nobody_is_denied() {
    let server = Distribution::with_user("user", PASSWORD);
    let wrong = registry(&server.host, login("user", "other password"));
    let error = wrong.repository("a/b").may_push().await.unwrap_err();
    assert!(matches!(error, Error::Rejected { .. }), "{error}");
    assert!(!format!("{error} {error:?}").contains("other password"));

    let nobody = registry(&server.host, Credentials::Anonymous);
    let error = nobody.repository("a/b").may_push().await.unwrap_err();
    assert!(matches!(error, Error::Denied { .. }), "{error}");
}

#[tokio::test]
async fn an_empty_index_is_put_found_and_read_back() {
    let server = Distribution::with_user("user", PASSWORD);
    let repository = registry(&server.host, login("user", PASSWORD)).repository("a/b");
    assert_eq!(repository.head_manifest(&tag("1.0")).await.unwrap(), None);
    assert_eq!(repository.get_manifest(&tag("1.0")).await.unwrap(), None);

    let manifest = index_of(&[], None);
    let digest = repository
        .put_manifest(&tag("1.0"), &manifest)
        .await
        .unwrap();
    assert_eq!(&digest, manifest.digest());
    for at in [tag("1.0"), digest.into()] {
        let head = repository
            .head_manifest(&at)
            .await
            .unwrap()
            .expect("it is there");
        assert_eq!(head, manifest.descriptor());
        let back = repository
            .get_manifest(&at)
            .await
            .unwrap()
            .expect("it is there");
        assert_eq!(back, manifest);
    }
}

#[tokio::test]
async fn a_manifest_whose_children_are_absent_is_refused_as_that() {
    let server = Distribution::open();
    let repository = registry(&server.host, Credentials::Anonymous).repository("a");
    let child = Descriptor {
        platform: Some("linux/amd64".parse::<Platform>().unwrap()),
        ..Descriptor::new(media::OCI_MANIFEST, Digest::sha256_of(b"nothing"), 7)
    };
    let error = repository
        .put_manifest(&tag("x"), &index_of(&[child], None))
        .await
        .unwrap_err();
    assert!(matches!(error, Error::ChildMissing(_)), "{error}");
    assert_eq!(error.status(), Some(400));
}

#[tokio::test]
async fn a_registry_that_is_not_there_is_unreachable() {
    let address = free_address();
    let error = registry(&address, Credentials::Anonymous)
        .repository("a")
        .may_push()
        .await
        .unwrap_err();
    assert!(
        matches!(error, Error::Unreachable { .. }) && error.is_transient(),
        "{error}"
    );
    assert!(error.to_string().contains(&address), "{error}");
}

#[tokio::test]
async fn handles_work_from_many_tasks() {
    let server = Distribution::with_user("user", PASSWORD);
    let repository = registry(&server.host, login("user", PASSWORD)).repository("a");
    let manifest = index_of(&[], None);
    let put = |n: u32| {
        let (repository, manifest): (Repository, Manifest) = (repository.clone(), manifest.clone());
        tokio::spawn(async move {
            repository
                .put_manifest(&tag(&format!("t{n}")), &manifest)
                .await
        })
    };
    for task in (0..20).map(put).collect::<Vec<_>>() {
        assert_eq!(&task.await.unwrap().unwrap(), manifest.digest());
    }
}

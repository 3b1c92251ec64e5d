//! skopeo's sync file: the examples of its manual and of its own tests.

use super::*;

/// skopeo-sync(1), "YAML file content".
pub(super) const MANUAL: &str = r#"registry.example.com:
    images:
        busybox: []
        redis:
            - "1.0"
            - "2.0"
            - "sha256:0000000000000000000000000000000011111111111111111111111111111111"
    images-by-tag-regex:
        nginx: ^1\.13\.[12]-alpine-perl$
    images-by-semver:
        alpine: ">= 3.12.0"
    credentials:
        username: john
        password: this is a secret
    tls-verify: true
    cert-dir: /home/john/certs
quay.io:
    tls-verify: false
    images:
        coreos/etcd:
            - latest
"#;

fn mirrored(text: &str) -> Result<Request, String> {
    read_files(&[("sync.yml", text)], &[], |inputs| {
        inputs.to = Some("my-registry.local.lan/repo/".to_owned());
    })
}

#[test]
fn the_manuals_example_is_read() {
    let request = mirrored(MANUAL).unwrap();
    let lines = copies(
        &request,
        "1.13.2-alpine-perl 1.13.3-alpine-perl 3.11.9 3.12 3.13.1 latest",
    );
    let to = |name: &str| format!("-> my-registry.local.lan/repo/{name}");
    let digest = "sha256:0000000000000000000000000000000011111111111111111111111111111111";
    let from = "registry.example.com";
    assert_eq!(lines.iter().filter(|it| it.contains("busybox")).count(), 6);
    assert_eq!(
        lines[6..],
        [
            format!("{from}/redis 1.0 {} 1.0", to("redis")),
            format!("{from}/redis 2.0 {} 2.0", to("redis")),
            format!("{from}/redis {digest} {} ", to("redis")),
            format!(
                "{from}/nginx 1.13.2-alpine-perl {} 1.13.2-alpine-perl",
                to("nginx")
            ),
            format!("{from}/alpine 3.12 {} 3.12", to("alpine")),
            format!("{from}/alpine 3.13.1 {} 3.13.1", to("alpine")),
            format!("quay.io/coreos/etcd latest {} latest", to("etcd")),
        ]
    );
    let expected = ("john".to_owned(), "this is a secret".to_owned(), false);
    assert_eq!(
        login(&request, "registry.example.com/redis"),
        Some(expected)
    );
    let quay = request
        .logins
        .find(&"quay.io/a/b".parse().unwrap())
        .unwrap();
    assert!(quay.insecure && quay.credentials == Credentials::Anonymous);
    assert_eq!(request.warnings.len(), 1);
    assert!(request.warnings[0].contains("line 16, column 5: `cert-dir` is not read"));

    let request = read_files(&[("s.yml", MANUAL)], VARIABLES, |_| {}).unwrap();
    assert_eq!(
        request.rules[0].destinations[0].repository.to_string(),
        "registry.cn-beijing.aliyuncs.com/your-namespace/busybox"
    );
    let said = read_files(&[("s.yml", MANUAL)], &[], |_| {}).unwrap_err();
    assert!(
        said.contains("`REGISTRY` is not set") && said.contains("`--to REGISTRY/PATH`"),
        "{said}"
    );
}

#[test]
fn names_on_docker_hub_nothing_and_lists_of_ranges_are_read() {
    let text = "docker.io:\n  tls-verify: no\n  updated: '2024-01-01'\n  images:\n    alpine:\n  images-by-semver:\n    bitnami/redis: ['>=7', '~6.2']\nempty.io: {tls-verify: True}\n";
    let request = mirrored(text).unwrap();
    assert_eq!(
        copies(&request, "7.0 6.2.1 6.1"),
        [
            "docker.io/library/alpine 7.0 -> my-registry.local.lan/repo/alpine 7.0",
            "docker.io/library/alpine 6.2.1 -> my-registry.local.lan/repo/alpine 6.2.1",
            "docker.io/library/alpine 6.1 -> my-registry.local.lan/repo/alpine 6.1",
            "docker.io/bitnami/redis 7.0 -> my-registry.local.lan/repo/redis 7.0",
            "docker.io/bitnami/redis 6.2.1 -> my-registry.local.lan/repo/redis 6.2.1",
        ]
    );
    let warnings = request.warnings.join("\n");
    for part in [
        "line 3, column 3: `updated`",
        "line 8, column 1: `empty.io` names no image",
    ] {
        assert!(warnings.contains(part), "{warnings}");
    }
}

#[test]
fn what_is_wrong_is_told_with_its_place() {
    for (text, sentence) in [
        (
            "q.io: {images: {a: []}, images-by-tag-regexp: {b: x}}",
            "unknown key `images-by-tag-regexp`; hint: did you mean `images-by-tag-regex`?",
        ),
        (
            "q.io: {images: [a]}",
            "`images` must be a mapping of repositories",
        ),
        (
            "q.io: {images: {a: [1]}}\nr.io: x",
            "line 2, column 7: `r.io` must be a mapping",
        ),
        ("q.io: {images: {a: ['sha256:1']}}", "is not a digest"),
        ("q.io: {images: {a: ['-']}}", "is not a tag"),
        (
            "q.io: {images-by-tag-regex: {a: '('}}",
            "`(` is not a regular expression",
        ),
        (
            "q.io: {images-by-semver: {a: banana}}",
            "`banana` is not a range of versions",
        ),
        (
            "q.io: {images: {a: []}, credentials: {username: me}}",
            "`password` is missing",
        ),
        (
            "q.io: {images: {a: []}, tls-verify: perhaps}",
            "`tls-verify` is `true` or `false`",
        ),
        ("q.io: {images: {A: []}}", "is not a repository path"),
        (
            "my-registry.local.lan: {images: {repo/a: []}}",
            "is both source and destination",
        ),
        (
            "q.io: {images: {x/a: ['1'], y/a: ['1']}}",
            "would be written twice",
        ),
    ] {
        let said = mirrored(text).expect_err(text);
        assert!(said.contains(sentence), "{text}: {said}");
        assert_eq!(said.lines().count(), 1, "{said}");
    }
}

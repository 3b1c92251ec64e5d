//! image-syncer's forms: the examples of its README and of the articles about it, byte for byte.

use super::*;
use crate::secret::Redactor;

#[test]
fn the_config_with_rules_is_read_with_its_comment() {
    // As GitHub leaves it: the two expressions replaced.
    let config = r#"{
  "auth": {
    "hagicode.azurecr.io": {
      "username": "${{ secrets.AZURE_ACR_USERNAME }}",
      "password": "${{ secrets.AZURE_ACR_PASSWORD }}"
    }
  },
  "rules": [
    {
      "src": "newbe36524/hagicode",
      "dest": "hagicode.azurecr.io/hagicode",
      "tags": ["*"]  // * 表示同步所有标签，可指定具体标签如 ["latest", "v1.0"]
    }
  ]
}
"#;
    let replaced = config
        .replace("${{ secrets.AZURE_ACR_USERNAME }}", "hagicode")
        .replace("${{ secrets.AZURE_ACR_PASSWORD }}", "robot$pass//word");
    let request = read_files(&[("config.json", &replaced)], &[], |_| {}).unwrap();
    assert_eq!(
        copies(&request, "latest v1.0"),
        [
            "docker.io/newbe36524/hagicode latest -> hagicode.azurecr.io/hagicode latest",
            "docker.io/newbe36524/hagicode v1.0 -> hagicode.azurecr.io/hagicode v1.0",
        ]
    );
    let expected = ("hagicode".to_owned(), "robot$pass//word".to_owned(), false);
    assert_eq!(
        login(&request, "hagicode.azurecr.io/hagicode"),
        Some(expected)
    );
    assert_eq!(login(&request, "newbe36524/hagicode"), None);

    let sentence = read_files(&[("config.json", config)], &[], |_| {}).unwrap_err();
    assert!(
        sentence.contains("`config.json`, line 5, column 19: GitHub replaces `${{ … }}` only inside a workflow file; hint: write `${AZURE_ACR_PASSWORD}`"),
        "{sentence}"
    );
}

#[test]
fn the_workflows_auth_and_images_are_read() {
    let auth = "hagicode.azurecr.io:\n  username: \"${AZURE_ACR_USERNAME}\"\n  password: \"${AZURE_ACR_PASSWORD}\"\n";
    let images = "docker.io/newbe36524/hagicode: hagicode.azurecr.io/hagicode\n";
    let files = [("auth.yaml", auth), ("images.yaml", images)];
    let variables = [
        ("AZURE_ACR_USERNAME", "hagicode"),
        ("AZURE_ACR_PASSWORD", "p${x}"),
    ];
    let request = read_files(&files, &variables, |_| {}).unwrap();
    assert_eq!(
        copies(&request, "latest"),
        ["docker.io/newbe36524/hagicode latest -> hagicode.azurecr.io/hagicode latest"]
    );
    let expected = ("hagicode".to_owned(), "p${x}".to_owned(), false);
    assert_eq!(
        login(&request, "hagicode.azurecr.io/hagicode"),
        Some(expected)
    );
    let mut redactor = Redactor::default();
    let logins = request.logins.credentials();
    logins.for_each(|it| it.hide(&mut redactor));
    assert_eq!(redactor.redact("it is p${x}"), "it is ***");
    assert!(!format!("{request:?}").contains("p${x}"));

    let sentence = read_files(&files, &variables[..1], |_| {}).unwrap_err();
    assert_eq!(
        sentence,
        "`auth.yaml`, line 3, column 13: the variable `AZURE_ACR_PASSWORD` is not set"
    );
}

#[test]
fn the_article_prints_githubs_expressions_broken_and_is_understood() {
    let auth = r#"hagicode.azurecr.io:
  username: "${
   { secrets.AZURE_ACR_USERNAME }}"
  password: "${
   { secrets.AZURE_ACR_PASSWORD }}"
"#;
    let files = [("auth.yaml", auth), ("images.yaml", "a.io/x: b.io/x")];
    let sentence = read_files(&files, &[], |_| {}).unwrap_err();
    for (line, name) in [(2, "AZURE_ACR_USERNAME"), (4, "AZURE_ACR_PASSWORD")] {
        let expected = format!("`auth.yaml`, line {line}, column 13: GitHub replaces");
        assert!(sentence.contains(&expected), "{sentence}");
        assert!(
            sentence.contains(&format!("write `${{{name}}}` here")),
            "{sentence}"
        );
    }
}

#[test]
fn the_articles_examples_of_tags_and_repositories_are_read() {
    let request = read_text(
        "# 仅同步 latest 和 v1.0 标签
docker.io/newbe36524/hagicode:latest: hagicode.azurecr.io/hagicode:latest
docker.io/newbe36524/hagicode:v1.0: hagicode.azurecr.io/hagicode:v1.0
docker.io/newbe36524/another-image: hagicode.azurecr.io/another-image
",
    )
    .unwrap();
    assert_eq!(
        copies(&request, "x"),
        [
            "docker.io/newbe36524/hagicode latest -> hagicode.azurecr.io/hagicode latest",
            "docker.io/newbe36524/hagicode v1.0 -> hagicode.azurecr.io/hagicode v1.0",
            "docker.io/newbe36524/another-image x -> hagicode.azurecr.io/another-image x",
        ]
    );
    assert_eq!(
        request.rules[1].origin.rsplit('/').next(),
        Some("images.yaml`, line 3")
    );
    assert_eq!(request.rules[1].policy, crate::copy::Policy::default());

    let request =
        read_text("docker.io/newbe36524/hagicode:v* : hagicode.azurecr.io/hagicode:v*\n").unwrap();
    assert_eq!(
        copies(&request, "latest v1"),
        ["docker.io/newbe36524/hagicode v1 -> hagicode.azurecr.io/hagicode v1"]
    );
}

/// `examples/images.yaml` and `examples/auth.yaml` of image-syncer, as facts about its format.
#[test]
fn image_syncers_documented_forms_are_read() {
    let images = "\
quay.io/coreos/kube-rbac-proxy: quay.io/ruohe/kube-rbac-proxy
quay.io/coreos/kube-rbac-proxy:v1.0: quay.io/ruohe/kube-rbac-proxy
quay.io/coreos/kube-rbac-proxy:v1.0,v2.0: quay.io/ruohe/kube-rbac-proxy
quay.io/coreos/kube-rbac-proxy@sha256:14b267eb38aa85fd12d0e168fffa2d8a6187ac53a14a0212b0d4fce8d729598c: quay.io/ruohe/kube-rbac-proxy
quay.io/coreos/kube-rbac-proxy:v1.1:
  - quay.io/ruohe/kube-rbac-proxy1
  - quay.io/ruohe/kube-rbac-proxy2
quay.io/coreos/kube-rbac-proxy:/a+/: quay.io/ruohe/kube-rbac-proxy";
    let auth = "\
quay.io:
  username: xxx
  password: 0123
  insecure: true
docker.io:
  username: hub
  password: xxxxxxxxxx
quay.io/coreos/:
  username: abc
  password: xxxxxxxxx
127.0.0.1:5000: {insecure: true}
";
    let request = read_files(&[("images.yaml", images), ("auth.yaml", auth)], &[], |_| {}).unwrap();
    let to = "-> quay.io/ruohe/kube-rbac-proxy";
    let from = "quay.io/coreos/kube-rbac-proxy";
    let digest = "sha256:14b267eb38aa85fd12d0e168fffa2d8a6187ac53a14a0212b0d4fce8d729598c";
    assert_eq!(
        copies(&request, "aa b"),
        [
            format!("{from} aa {to} aa"),
            format!("{from} b {to} b"),
            format!("{from} v1.0 {to} v1.0"),
            format!("{from} v1.0 {to} v1.0"),
            format!("{from} v2.0 {to} v2.0"),
            format!("{from} {digest} {to} "),
            format!("{from} v1.1 {to}1 v1.1"),
            format!("{from} v1.1 {to}2 v1.1"),
            format!("{from} aa {to} aa"),
        ]
    );
    let listing: Vec<bool> = request.rules.iter().map(Rule::needs_listing).collect();
    assert_eq!(listing, [true, false, false, false, false, true]);

    let user = |repository| login(&request, repository).map(|(user, ..)| user);
    assert_eq!(
        user("quay.io/coreos/kube-rbac-proxy").as_deref(),
        Some("abc")
    );
    assert_eq!(user("quay.io/coreos2/x").as_deref(), Some("xxx"));
    assert_eq!(user("index.docker.io/nginx").as_deref(), Some("hub"));
    assert_eq!(user("ghcr.io/a/b"), None);
    let plain = ("xxx".to_owned(), "0123".to_owned(), true);
    assert_eq!(login(&request, "quay.io/ruohe/x"), Some(plain));
    let local = request
        .logins
        .find(&"127.0.0.1:5000/x".parse().unwrap())
        .unwrap();
    assert_eq!(local.credentials, Credentials::Anonymous);
    assert!(local.insecure);
}

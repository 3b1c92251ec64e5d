//! The examples of the tools' own documents, byte for byte, and our own form.

use super::*;
use crate::registry::Platform;

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
    let secrets: Vec<_> = request
        .logins
        .secrets()
        .map(|s| s.expose().clone())
        .collect();
    assert_eq!(secrets, ["p${x}"]);
    assert!(!format!("{request:?}").contains("p${x}"));

    let sentence = read_files(&files, &variables[..1], |_| {}).unwrap_err();
    assert_eq!(
        sentence,
        "`auth.yaml`, line 3, column 13: the variable `AZURE_ACR_PASSWORD` is not set"
    );
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
    assert_eq!(request.rules[1].platforms, Platforms::All);

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
            format!("{from} {digest} {to} {digest}"),
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
    assert!(local.plain_http);
}

#[test]
fn the_transfer_tools_examples_are_read() {
    let request = read_text(
        r#"[
{
    "source": "nginx:latest",
    "target": "nginx",
    "tags": ["latest"],
    "architectures": ["amd64", "arm64"]
},
{
    "source": "ubuntu:22.04",
    "target": "ubuntu",
    "tags": ["22.04", "jammy", "latest"],
    "architectures": ["amd64", "arm64"]
},
{
    "source": "ghcr.io/open-webui/open-webui:main",
    "target": "open-webui",
    "tags": ["main", "latest"],
    "architectures": ["arm/v7"]
}
]
"#,
    )
    .unwrap();
    let to = "-> registry.cn-beijing.aliyuncs.com/your-namespace";
    assert_eq!(
        copies(&request, ""),
        [
            format!("docker.io/library/nginx latest {to}/nginx latest"),
            format!("docker.io/library/ubuntu 22.04 {to}/ubuntu 22.04 jammy latest"),
            format!("ghcr.io/open-webui/open-webui main {to}/open-webui main latest"),
        ]
    );
    let arm: Platform = "linux/arm/v7".parse().unwrap();
    assert_eq!(request.rules[2].platforms, Platforms::Available(vec![arm]));
    let expected = (
        "your-username".to_owned(),
        "your-password".to_owned(),
        false,
    );
    assert_eq!(
        login(
            &request,
            "registry.cn-beijing.aliyuncs.com/your-namespace/nginx"
        ),
        Some(expected)
    );
    assert_eq!(login(&request, "docker.io/library/nginx"), None);
}

#[test]
fn the_plain_list_is_read_although_it_is_called_yaml() {
    let list = "# 基础镜像
nvidia/cuda:12.4.1-devel-ubuntu22.04

# 注释的镜像（不会被同步）
# linuxserver/qbittorrent:5.1.2

# 数据库镜像
# postgis/postgis:16-3.4-alpine
# mysql:latest
";
    let request = read_text(list).unwrap();
    let to = "-> registry.cn-beijing.aliyuncs.com/your-namespace";
    let cuda = format!(
        "docker.io/nvidia/cuda 12.4.1-devel-ubuntu22.04 {to}/cuda 12.4.1-devel-ubuntu22.04"
    );
    assert_eq!(copies(&request, ""), [cuda]);

    let more = "mysql # note: the default tag\r\n\r\n  ghcr.io/openrailassociation/osrd-edge/osrd-core:dev\r\n";
    let variables = [("REGISTRY", "localhost:5000")];
    let request = read_files(&[("images.yaml", more)], &variables, |_| {}).unwrap();
    assert_eq!(
        copies(&request, ""),
        [
            "docker.io/library/mysql latest -> localhost:5000/mysql latest",
            "ghcr.io/openrailassociation/osrd-edge/osrd-core dev -> localhost:5000/osrd-core dev",
        ]
    );
    assert!(login(&request, "localhost:5000/mysql").is_none());
}

#[test]
fn the_names_of_both_tools_variables_count() {
    let list = [("list", "nginx")];
    let variables = [
        ("REGISTRY", "registry.cn-hangzhou.aliyuncs.com"),
        ("ALIYUN_NAMESPACE", "ns"),
        ("ALIYUN_USERNAME", "me"),
        ("ALIYUN_PASSWORD", "word"),
    ];
    let request = read_files(&list, &variables, |_| {}).unwrap();
    let target = "registry.cn-hangzhou.aliyuncs.com/ns/nginx";
    assert_eq!(request.rules[0].targets[0].repository.to_string(), target);
    assert_eq!(login(&request, target).unwrap().0, "me");

    let sentence = read_files(&list, &variables[1..3], |_| {}).unwrap_err();
    assert!(sentence.contains("`REGISTRY` is not set"), "{sentence}");
    assert!(
        sentence.contains("`ALIYUN_USERNAME` is set, but `ALIYUN_PASSWORD` is not"),
        "{sentence}"
    );
    assert_eq!(sentence.lines().count(), 2);

    // A login file says it better than a variable.
    let files = [
        ("list", "nginx"),
        ("auth.yaml", "localhost:5000: {username: a, password: b}"),
    ];
    let variables = [
        ("REGISTRY", "localhost:5000"),
        ("REGISTRY_USER", "u"),
        ("REGISTRY_PASSWORD", "p"),
    ];
    let request = read_files(&files, &variables, |_| {}).unwrap();
    assert_eq!(login(&request, "localhost:5000/nginx").unwrap().0, "a");
}

#[test]
fn our_own_form_is_read() {
    let text = r#"
source: docker.io/newbe36524/hagicode
targets: [hagicode.azurecr.io/hagicode, "${REGISTRY}/hagicode/hagicode"]
tags: ["v*", "!*-nightly", "semver:>=1.2", "newest:1"]
platforms: [linux/amd64]
attestations: strip
"#;
    for text in [
        text.to_owned(),
        format!("- {}", text.trim().replace('\n', "\n  ")),
    ] {
        let request = read_text(&text).unwrap();
        let from = "docker.io/newbe36524/hagicode v1.3.0 ->";
        assert_eq!(
            copies(&request, "v1.1.0 v1.2.0 v1.3.0 v9.0.0-nightly latest"),
            [
                format!("{from} hagicode.azurecr.io/hagicode v1.3.0"),
                format!("{from} registry.cn-beijing.aliyuncs.com/hagicode/hagicode v1.3.0"),
            ]
        );
        let amd64 = "linux/amd64".parse().unwrap();
        assert_eq!(request.rules[0].platforms, Platforms::Exactly(vec![amd64]));
        assert_eq!(request.rules[0].attestations, Attestations::Strip);
    }
}

#[test]
fn the_projects_own_file_mirrors_the_product_to_two_registries() {
    let request = read_text(include_str!("../../../../docker/sync.yaml")).unwrap();
    let from = "docker.io/newbe36524/hagicode any ->";
    assert_eq!(
        copies(&request, "any"),
        [
            format!("{from} hagicode.azurecr.io/hagicode any"),
            format!("{from} registry.cn-hangzhou.aliyuncs.com/hagicode/hagicode any"),
        ]
    );
}

#[test]
fn the_command_line_narrows_what_the_files_choose() {
    let images = "a.io/all: b.io/all
a.io/two:1,2: b.io/two:one,two
a.io/regex:/^[12]$/: b.io/regex
a.io/digest@sha256:14b267eb38aa85fd12d0e168fffa2d8a6187ac53a14a0212b0d4fce8d729598c: b.io/digest
";
    let request = read_files(&[("images.yaml", images)], &[], |inputs| {
        inputs.tags = vec!["2".to_owned(), "7".to_owned()];
        inputs.platforms = vec!["linux/arm64".to_owned()];
    })
    .unwrap();
    assert_eq!(
        copies(&request, "1 2 3"),
        [
            "a.io/all 2 -> b.io/all 2",
            "a.io/all 7 -> b.io/all 7",
            "a.io/two 2 -> b.io/two two",
            "a.io/regex 2 -> b.io/regex 2",
        ]
    );
    assert!(!request.rules[0].needs_listing());
    let arm64 = "linux/arm64".parse().unwrap();
    assert_eq!(request.rules[0].platforms, Platforms::Exactly(vec![arm64]));

    let sentence = read_files(&[("images.yaml", images)], &[], |inputs| {
        inputs.tags = vec!["/(/".to_owned()];
        inputs.platforms = vec!["amd64".to_owned()];
    })
    .unwrap_err();
    assert!(
        sentence.contains("`--tags`: `(` is not a regular expression"),
        "{sentence}"
    );
    assert!(
        sentence.contains("`--platform`: `amd64` is not a platform"),
        "{sentence}"
    );
}

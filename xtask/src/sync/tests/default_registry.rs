//! Names without a registry: the transfer tool's examples and the plain list's, byte for byte.

use super::*;
use crate::oci::Platform;

#[test]
fn the_transfer_tools_examples_are_read() {
    let examples = [
        r#"{
    "source": "nginx:latest",
    "target": "nginx",
    "tags": ["latest"],
    "architectures": ["amd64", "arm64"]
}"#,
        r#"{
    "source": "ubuntu:22.04",
    "target": "ubuntu",
    "tags": ["22.04", "jammy", "latest"],
    "architectures": ["amd64", "arm64"]
}"#,
        r#"{
    "source": "vllm/vllm-openai:v0.11.0",
    "target": "vllm-openai",
    "tags": ["v0.11.0", "latest"],
    "architectures": ["amd64", "arm64"]
}"#,
        r#"{
    "source": "ghcr.io/open-webui/open-webui:main",
    "target": "open-webui",
    "tags": ["main", "latest"],
    "architectures": ["amd64", "arm64"]
}"#,
    ];
    let request = read_text(&format!("[\n{}\n]\n", examples.join(",\n"))).unwrap();
    let to = "-> registry.cn-beijing.aliyuncs.com/your-namespace";
    assert_eq!(
        copies(&request, ""),
        [
            format!("docker.io/library/nginx latest {to}/nginx latest"),
            format!("docker.io/library/ubuntu 22.04 {to}/ubuntu 22.04 jammy latest"),
            format!("docker.io/vllm/vllm-openai v0.11.0 {to}/vllm-openai v0.11.0 latest"),
            format!("ghcr.io/open-webui/open-webui main {to}/open-webui main latest"),
        ]
    );
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

    let all = r#"{"source": "ghcr.io/a/b", "target": "b", "tags": ["1"],
        "architectures": ["amd64", "arm64", "arm/v7", "ppc64le", "s390x"]}"#;
    let request = read_text(all).unwrap();
    let policy = &request.rules[0].policy;
    assert!(policy.lenient, "one that fails must not stop the others");
    let platforms: Vec<String> = policy.platforms.iter().map(Platform::to_string).collect();
    assert_eq!(
        platforms.join(" "),
        "linux/amd64 linux/arm64 linux/arm/v7 linux/ppc64le linux/s390x"
    );
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
    let destination = "registry.cn-hangzhou.aliyuncs.com/ns/nginx";
    assert_eq!(
        request.rules[0].destinations[0].repository.to_string(),
        destination
    );
    assert_eq!(login(&request, destination).unwrap().0, "me");

    let sentence = read_files(&list, &variables[1..3], |_| {}).unwrap_err();
    assert!(sentence.contains("`REGISTRY` is not set"), "{sentence}");
    assert!(
        sentence.contains("`ALIYUN_USERNAME` is set and `ALIYUN_PASSWORD` is not"),
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
fn a_list_may_begin_with_an_address_in_brackets() {
    let variables = [("REGISTRY", "[fd00:0::2]:5000"), ("NAMESPACE", "n")];
    let request = read_files(
        &[("list", "[FD00::1]:5000/a/app:v1\nredis")],
        &variables,
        |_| {},
    );
    assert_eq!(
        copies(&request.unwrap(), ""),
        [
            "[fd00::1]:5000/a/app v1 -> [fd00::2]:5000/n/app v1",
            "docker.io/library/redis latest -> [fd00::2]:5000/n/redis latest",
        ]
    );
}

#[test]
fn an_image_is_not_copied_onto_itself() {
    let variables = [("REGISTRY", "index.docker.io"), ("NAMESPACE", "library")];
    let entry = |tags: &str| {
        format!(
            r#"{{"source": "nginx:1", "target": "nginx", "tags": {tags}, "architectures": ["amd64"]}}"#
        )
    };
    for (text, sentence) in [
        ("nginx", "this image is in the registry already"),
        (
            &entry(r#"["2", "1"]"#),
            "source and destination are the same image",
        ),
    ] {
        let said = read_files(&[("list", text)], &variables, |_| {}).unwrap_err();
        assert_eq!(said, format!("`list`, line 1, column 1: {sentence}"));
    }
    let here = [("REGISTRY", "[::1]:5000"), ("NAMESPACE", "n")];
    let said = read_files(&[("list", "localhost:5000/n/app:v1")], &here, |_| {}).unwrap_err();
    assert!(
        said.ends_with("this image is in the registry already"),
        "{said}"
    );
    let named = "localhost:5000/app:v1: 127.0.0.1:5000/app";
    let said = read_files(&[("list", named)], &here, |_| {}).unwrap_err();
    assert!(said.ends_with("is both source and destination"), "{said}");
    let renamed = read_files(&[("list", &entry(r#"["2"]"#))], &variables, |_| {});
    assert_eq!(renamed.unwrap().rules.len(), 1);
}

#[test]
fn a_registry_that_is_none_is_told_once() {
    let variables = [("REGISTRY", "https://registry.example/")];
    let said = read_files(&[("list", "nginx\nredis\n")], &variables, |_| {}).unwrap_err();
    assert!(said.starts_with("`REGISTRY` and its namespace: "), "{said}");
    assert_eq!(said.lines().count(), 1, "{said}");
    for (name, namespace) in [
        ("REGISTRY", "REGISTRY_NAMESPACE"),
        ("ALIYUN_REGISTRY", "ALIYUN_NAME_SPACE"),
    ] {
        let said = read_files(&[("list", "nginx")], &[(name, "r.io/path")], |_| {}).unwrap_err();
        let hint = format!("hint: what is after the `/` goes into `{namespace}`");
        assert!(said.ends_with(&hint), "{said}");
    }
}

#[test]
fn a_registry_where_nothing_goes_is_told() {
    let told = |text: &str| {
        let to = |inputs: &mut Inputs| inputs.to = Some("r.io/ns".to_owned());
        read_files(&[("file", text)], &[], to).map(|request| copies(&request, "v1"))
    };
    let idle = |short: &str, full: &str| {
        format!(
            "`--to`: nothing goes there, because the files say of each image where it goes: a destination without a registry, such as `{short}`, is `{full}`; hint: leave out `--to`, or write the registry before the name"
        )
    };
    for (text, short, full) in [
        (
            "{source: a.io/x, targets: team/x}",
            "team/x",
            "docker.io/team/x",
        ),
        ("a.io/x: [b.io/x, y]", "y", "docker.io/library/y"),
        (
            "sync: [{source: a.io/x, target: b.io/x, type: image}]",
            "app",
            "docker.io/library/app",
        ),
    ] {
        assert_eq!(told(text).unwrap_err(), idle(short, full), "{text}");
    }
    // The variable is set for other files, too, and another problem may be why.
    let request = read_text("a.io/x: b.io/x");
    assert_eq!(request.unwrap().rules.len(), 1);
    let said = told("{source: a.io/x, targets: b.io/X}").unwrap_err();
    assert!(!said.contains("--to"), "{said}");
    assert_eq!(
        told("a.io/x: b.io/x\na.io/y:").unwrap(),
        ["a.io/x v1 -> b.io/x v1", "a.io/y v1 -> r.io/ns/y v1"]
    );
}

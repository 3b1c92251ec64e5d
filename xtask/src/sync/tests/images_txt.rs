//! docker_image_pusher's `images.txt`: the examples of its README, and what its workflow does with them.

use super::*;
use crate::oci::Platform;

/// The names of its workflow.
const PUSHER: &[(&str, &str)] = &[
    ("ALIYUN_REGISTRY", "registry.cn-hangzhou.aliyuncs.com"),
    ("ALIYUN_NAME_SPACE", "ns"),
    ("ALIYUN_REGISTRY_USER", "me"),
    ("ALIYUN_REGISTRY_PASSWORD", "word"),
];

fn pushed(list: &str) -> Vec<String> {
    let request = read_files(&[("images.txt", list)], PUSHER, |_| {}).unwrap();
    let lines = copies(&request, "").into_iter();
    let short = |line: String| line.replace("registry.cn-hangzhou.aliyuncs.com/ns/", "");
    lines.map(short).collect()
}

#[test]
fn the_platform_chooses_and_becomes_part_of_the_name() {
    let list = "\
alpine
--platform=linux/arm64 xiaoyaliu/alist
--platform linux/arm/v7  -q redis:7
  --platform=arm64 k8s.gcr.io/kube-state-metrics/kube-state-metrics:v2.0.0
";
    assert_eq!(
        pushed(list),
        [
            "docker.io/library/alpine latest -> alpine latest",
            "docker.io/xiaoyaliu/alist latest -> linux_arm64_alist latest",
            "docker.io/library/redis 7 -> linux_arm_v7_redis 7",
            "k8s.gcr.io/kube-state-metrics/kube-state-metrics v2.0.0 -> arm64_kube-state-metrics v2.0.0",
        ]
    );
    let request = read_files(&[("images.txt", list)], PUSHER, |_| {}).unwrap();
    let platforms = |at: usize| &request.rules[at].policy.platforms;
    assert!(platforms(0).is_empty());
    for (at, platform) in [(1, "linux/arm64"), (2, "linux/arm/v7"), (3, "linux/arm64")] {
        assert_eq!(*platforms(at), [platform.parse::<Platform>().unwrap()]);
    }
    let said = read_files(&[("images.txt", "--alias=web nginx")], PUSHER, |_| {}).unwrap_err();
    assert!(said.contains("it is not `--platform`"), "{said}");
    let first = pushed("--platform=linux/arm64 nginx");
    assert_eq!(
        first,
        ["docker.io/library/nginx latest -> linux_arm64_nginx latest"]
    );
}

#[test]
fn images_with_one_last_segment_are_told_apart_by_their_namespaces() {
    let list = "\
# 重名
gotify/server:latest
vaultwarden/server:latest
quay.io/team/nginx:1
docker.io/nginx:2
nginx
--platform=linux/arm64 gotify/server
dannicool/docker-wechatbot-webhook:windows
dannicool/docker-wechatbot-webhook:latest
";
    assert_eq!(
        pushed(list),
        [
            "docker.io/gotify/server latest -> gotify_server latest",
            "docker.io/vaultwarden/server latest -> vaultwarden_server latest",
            "quay.io/team/nginx 1 -> team_nginx 1",
            "docker.io/library/nginx 2 -> docker.io_nginx 2",
            "docker.io/library/nginx latest -> nginx latest",
            "docker.io/gotify/server latest -> linux_arm64_gotify_server latest",
            "docker.io/dannicool/docker-wechatbot-webhook windows -> docker-wechatbot-webhook windows",
            "docker.io/dannicool/docker-wechatbot-webhook latest -> docker-wechatbot-webhook latest",
        ]
    );
}

#[test]
fn a_digest_is_copied_under_the_tag_beside_it() {
    let digest = "sha256:14b267eb38aa85fd12d0e168fffa2d8a6187ac53a14a0212b0d4fce8d729598c";
    assert_eq!(
        pushed(&format!("a/b:1@{digest}\nq.io/a/c@{digest}")),
        [
            format!("docker.io/a/b {digest} -> b 1"),
            format!("q.io/a/c {digest} -> c latest"),
        ]
    );
}

#[test]
fn its_variables_count_together_or_not_at_all() {
    let list = [("images.txt", "nginx")];
    let request = read_files(&list, PUSHER, |_| {}).unwrap();
    let there = "registry.cn-hangzhou.aliyuncs.com/ns/nginx";
    assert_eq!(login(&request, there).unwrap().0, "me");

    // The password of one registry is not for another.
    let both = [PUSHER, &[("REGISTRY", "localhost:5000")]].concat();
    let request = read_files(&list, &both, |_| {}).unwrap();
    assert_eq!(
        copies(&request, "")[0],
        "docker.io/library/nginx latest -> localhost:5000/nginx latest"
    );
    assert!(login(&request, "localhost:5000/nginx").is_none());

    let to = |to: &str| {
        let to = to.to_owned();
        read_files(&list, PUSHER, |inputs| inputs.to = Some(to))
    };
    let request = to("quay.io/mirror/").unwrap();
    assert_eq!(
        copies(&request, "")[0],
        "docker.io/library/nginx latest -> quay.io/mirror/nginx latest"
    );
    assert!(login(&request, "quay.io/mirror/nginx").is_none());
    assert_eq!(
        to("mirror").unwrap_err(),
        "`--to`: `mirror` does not begin with a registry; hint: `docker.io/mirror` is on Docker Hub"
    );
}

#[test]
fn a_wrong_line_is_named_and_not_shown() {
    for (line, sentence) in [
        ("nginx redis", "more than an image stands here"),
        ("-a nginx", "more than an image stands here"),
        ("--alias=web nginx", "more than an image stands here"),
        ("--platform=linux/arm64", "this is not the name of an image"),
        ("--platform=a/b/c/d nginx", "`a/b/c/d` is not a platform"),
        (
            "-----BEGIN SECRET KEY-----",
            "this is not the name of an image",
        ),
    ] {
        let list = format!("alpine\n\n  {line}\n");
        let said = read_files(&[("images.txt", &list)], PUSHER, |_| {}).unwrap_err();
        assert!(
            said.starts_with("`images.txt`, line 3, column 3: "),
            "{said}"
        );
        assert!(said.contains(sentence), "{line}: {said}");
        assert!(!said.contains("SECRET"), "{said}");
        assert_eq!(said.lines().count(), 1, "{said}");
    }
}

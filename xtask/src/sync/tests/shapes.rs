//! The shapes in which people leave their files: made up, after real ones of each tool.

use super::*;

const TO: &[(&str, &str)] = &[("REGISTRY", "r.io"), ("REGISTRY_NAMESPACE", "ns")];

#[test]
fn image_syncers_files_as_editors_and_generators_write_them() {
    for (text, expected) in [
        // Windows: a byte order mark, and two bytes for each end of a line.
        (
            "\u{feff}a.io/x:1: b.io/x\r\n\"a.io/y:1,2\":\r\n  - \"b.io/y\"\r\n# end\r\n",
            &[
                "a.io/x 1 -> b.io/x 1",
                "a.io/y 1 -> b.io/y 1",
                "a.io/y 2 -> b.io/y 2",
            ][..],
        ),
        // Sections, what is switched off, and a list that is not indented.
        (
            "---\n# Web\n#nginx: b.io/nginx\n\nredis:7.2.7-alpine: \"b.io/g/redis\" # cache\n\n\n# Jobs\nteam/job:v1:\n- b.io/job\n- 'c.io:5000/job'\n",
            &[
                "docker.io/library/redis 7.2.7-alpine -> b.io/g/redis 7.2.7-alpine",
                "docker.io/team/job v1 -> b.io/job v1",
                "docker.io/team/job v1 -> c.io:5000/job v1",
            ],
        ),
        // The same tag on both sides, and a destination on Docker Hub.
        (
            "influxdb:2.7.8: b.io/influxdb:2.7.8\nk8s.gcr.io/metrics/server:x: hub/server\n",
            &[
                "docker.io/library/influxdb 2.7.8 -> b.io/influxdb 2.7.8",
                "k8s.gcr.io/metrics/server x -> docker.io/hub/server x",
            ],
        ),
        // A regular expression without quotes, with what YAML could take for something else.
        (
            "docker.io/team/net:/v3.28.\\d$/: b.io/net\n",
            &["docker.io/team/net v3.28.1 -> b.io/net v3.28.1"],
        ),
        // JSON: tabs, and a comma too many.
        (
            "{\r\n\t\"a.io/x:1\": \"b.io/x\",\r\n\t\"a.io/y:/^v3/\": [\"b.io/y\", \"c.io/y\"],\r\n}\r\n",
            &[
                "a.io/x 1 -> b.io/x 1",
                "a.io/y v3.28.1 -> b.io/y v3.28.1",
                "a.io/y v3.28.1 -> c.io/y v3.28.1",
            ],
        ),
        // The old single file, with three blanks before what it lists.
        (
            "auth:\n  b.io:\n    username: $B_USER\n    password: $B_PASSWORD\nimages:\n   a.io/x/y:1: b.io/x/y\n",
            &["a.io/x/y 1 -> b.io/x/y 1"],
        ),
    ] {
        let variables = [("B_USER", "me"), ("B_PASSWORD", "word")];
        let request = read_files(&[("images.yaml", text)], &variables, |_| {});
        let request = request.unwrap_or_else(|said| panic!("{text}: {said}"));
        assert_eq!(copies(&request, "v3.28.1 w"), expected, "{text}");
        assert!(request.warnings.is_empty() && request.wrong.is_empty());
    }
    // Everything switched off is told, and no empty success.
    let said = read_text("#- source: nginx\n\n#redis:7\n").unwrap_err();
    assert!(said.contains("names no image"), "{said}");
}

#[test]
fn lists_of_docker_image_pusher_as_they_grow() {
    let list = "\u{feff}nginx:1.17.10\r\n#支持私库\r\n\tk8s.gcr.io/kube/metrics:v2.0.0 \r\n\r\n  #redis:7\r\n\
        --platform=linux/arm64\tghcr.io/a/b:1\r\nteam/net:holder\r\nteam/net:v0.11.3";
    let request = read_files(&[("images.txt", list)], TO, |_| {}).unwrap();
    let expected = [
        "docker.io/library/nginx 1.17.10 -> r.io/ns/nginx 1.17.10",
        "k8s.gcr.io/kube/metrics v2.0.0 -> r.io/ns/metrics v2.0.0",
        "ghcr.io/a/b 1 -> r.io/ns/linux_arm64_b 1",
        "docker.io/team/net holder -> r.io/ns/net holder",
        "docker.io/team/net v0.11.3 -> r.io/ns/net v0.11.3",
    ];
    assert_eq!(copies(&request, ""), expected);
    // A platform and nothing to go with it.
    let said = read_files(
        &[("images.txt", "nginx\n--platform=linux/x86_64\n")],
        TO,
        |_| {},
    );
    let said = said.unwrap_err();
    assert!(said.contains("`images.txt`, line 2, column 1"), "{said}");
}

#[test]
fn regsyncs_and_skopeos_files_as_scripts_write_them() {
    let regsync = "---\n# generated\ndefaults:\n  ratelimit:\n    min: 20\n    retry: 15m\n  parallel: 3\n  interval: 60m\n\n\
        sync:\n  # Base\n  - source: 'debian:{{ env \"DEBIAN\" }}'\n    target: '{{ env \"TO\" }}/library/debian:{{ env \"DEBIAN\" }}'\n    type: image\n";
    let variables = [("DEBIAN", "12"), ("TO", "b.io")];
    let request = read_files(&[("regsync.yml", regsync)], &variables, |_| {}).unwrap();
    let expected = ["docker.io/library/debian 12 -> b.io/library/debian 12"];
    assert_eq!(copies(&request, ""), expected);
    let skopeo = "# see the manual\ndocker.io:\n  images:\n    team/app:\n      - \"v2.9.13\"\n    # needed by app\n    centos:\n      - \"8.1.1911\"\n\
        quay.io:\n  tls-verify: true\n  images-by-semver:\n    team/tool: \">= 3.12\"\n";
    let request = read_files(&[("sync.yaml", skopeo)], TO, |_| {}).unwrap();
    let expected = [
        "docker.io/team/app v2.9.13 -> r.io/ns/app v2.9.13",
        "docker.io/library/centos 8.1.1911 -> r.io/ns/centos 8.1.1911",
        "quay.io/team/tool 3.13 -> r.io/ns/tool 3.13",
    ];
    assert_eq!(copies(&request, "3.13 3.9"), expected);
}

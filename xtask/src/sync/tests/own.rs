//! Our own form, and the command line's filters.

use super::*;
use crate::copy::{Attestations, Referrers};
use crate::oci::Platform;

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
        let amd64: Platform = "linux/amd64".parse().unwrap();
        assert_eq!(request.rules[0].policy.platforms, [amd64]);
        assert_eq!(request.rules[0].policy.attestations, Attestations::Strip);
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
    let arm64: Platform = "linux/arm64".parse().unwrap();
    assert_eq!(request.rules[0].policy.platforms, [arm64]);

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

#[test]
fn one_rule_is_for_many_sources_with_parts_of_their_names() {
    let text = "source: [nginx, 'quay.io/team/app:v1', 'localhost:5000/x']
targets: ['a.io/mirror/{repository}', 'b.io/{host}/{name}:{tag}', '{host}/copy']
platforms: linux/amd64
";
    let request = read_text(text).unwrap();
    assert_eq!(
        copies(&request, "v2"),
        [
            "docker.io/library/nginx v2 -> a.io/mirror/library/nginx v2",
            "docker.io/library/nginx v2 -> b.io/docker.io/nginx v2",
            "docker.io/library/nginx v2 -> docker.io/library/copy v2",
            "quay.io/team/app v1 -> a.io/mirror/team/app v1",
            "quay.io/team/app v1 -> b.io/quay.io/app v1",
            "quay.io/team/app v1 -> quay.io/copy v1",
            "localhost:5000/x v2 -> a.io/mirror/x v2",
            "localhost:5000/x v2 -> b.io/localhost-5000/x v2",
            "localhost:5000/x v2 -> localhost:5000/copy v2",
        ]
    );
    let amd64: Platform = "linux/amd64".parse().unwrap();
    assert!(
        request
            .rules
            .iter()
            .all(|it| it.policy.platforms[..] == [amd64.clone()])
    );

    for (text, said) in [
        (
            "{source: [a.io/x, a.io/y], targets: [b.io/x, 'b.io/{repo}']}",
            "line 1, column 46: `{repo}` is no part of a source's name",
        ),
        (
            "{source: ['a.io/x:1', 'c.io/x:1'], targets: 'b.io/{name}'}",
            "`b.io/x:1` would be written twice: from `a.io/x:1` (",
        ),
        (
            "{source: [b.io/y, a.io/x], targets: 'b.io/{repository}'}",
            "`b.io/y` is both source and destination",
        ),
        (
            "{source: ['a.io/x:1', 'a.io/y:1'], targets: b.io/z}",
            "`b.io/z:1` would be written twice",
        ),
        (
            "[{source: 'a.io/x:1', targets: 'localhost:5000/z'}, {source: 'a.io/y:1', targets: '127.0.0.1:5000/z'}]",
            "`127.0.0.1:5000/z:1` would be written twice",
        ),
        (
            "[{source: 'a.io/x:1', targets: b.io/z}, {source: 'a.io/y:1', targets: 'b.io:443/z'}]",
            "`b.io:443/z:1` would be written twice",
        ),
    ] {
        let error = read_text(text).unwrap_err();
        assert!(error.contains(said), "{text}: {error}");
        assert_eq!(error.lines().count(), 1, "{error}");
    }
}

#[test]
fn tags_named_after_a_digest_go_with_their_image_and_are_chosen_by_no_pattern() {
    let of_digest = format!("sha256-{}", "0a".repeat(32));
    let listed = format!("v1 {of_digest} {of_digest}.sig sha256-x");
    let rule = "{source: a.io/x, targets: [b.io/x]";
    let chosen =
        |more: &str| copies(&read_text(&format!("{rule}{more}}}")).unwrap(), &listed).len();
    assert_eq!(chosen(""), 2);
    assert_eq!(chosen(", tags: ['*']"), 2);
    assert_eq!(chosen(", referrers: strip"), 2);
    for referrers in ["keep", "strip"] {
        let named = format!(", tags: ['{of_digest}.sig'], referrers: {referrers}");
        assert_eq!(chosen(&named), 1);
        for (patterns, count) in [
            ("'sha256-*'", 3),
            ("'*', 'sha256-*.sig'", 3),
            ("'*', '!sha256-*.att'", 2),
            ("'!/^sha256-.*att$/'", 2),
        ] {
            let more = format!(", tags: [{patterns}], referrers: {referrers}");
            assert_eq!(chosen(&more), count, "{patterns}");
        }
    }
    let files = [("images.yaml", "a.io/x: b.io/x")];
    let strip = |inputs: &mut Inputs| inputs.referrers = Some(Referrers::Strip);
    let stripped = read_files(&files, VARIABLES, strip).unwrap();
    assert_eq!(copies(&stripped, &listed).len(), 2);
    let said = read_text(&format!("{rule}, referrers: drop}}")).unwrap_err();
    assert!(
        said.contains("`referrers` cannot be `drop`; hint: "),
        "{said}"
    );
}

#[test]
fn one_image_that_two_names_mean_is_no_conflict() {
    for (one, other) in [("localhost:1", "127.0.0.1:1"), ("a.io", "a.io:443")] {
        let rule = |host: &str| format!("- {{source: '{host}/x:1', targets: b.io/x}}\n");
        let request = read_text(&(rule(one) + &rule(other))).unwrap();
        assert_eq!(request.rules.len(), 2);
    }
}

#[test]
fn what_another_rule_writes_is_read_by_the_next_run() {
    let rule = |source: &str, target: &str| format!("{{source: '{source}', targets: '{target}'}}");
    for (first, second, is_told) in [
        (("a.io/x:1", "b.io/x"), ("b.io/x:1", "c.io/x"), true),
        (("b.io/x", "c.io/x"), ("a.io/x:1", "b.io/x"), true),
        (("a.io/x", "b.io/x"), ("b.io/x", "c.io/x"), true),
        (
            ("a.io/x:1", "localhost:1/x"),
            ("127.0.0.1:1/x:1", "c.io/x"),
            true,
        ),
        (("a.io/x:1", "b.io/x:2"), ("b.io/x:1", "c.io/x"), false),
        (("b.io/x:1", "b.io/x:2"), ("b.io/x:1", "b.io/x:3"), false),
        (("b.io/x:1", "b.io/x:2"), ("b.io/x:2", "b.io/x:3"), true),
        (("a.io/x", "b.io/x"), ("a.io/y", "b.io/y"), false),
    ] {
        let [first, second] = [first, second].map(|(source, target)| rule(source, target));
        let request = read_text(&format!("- {first}\n- {second}\n")).unwrap();
        let said = request.warnings.join("\n");
        assert_eq!(
            said.contains("hint: a second run copies"),
            is_told,
            "{first} {second}: {said}"
        );
        assert!(said.lines().count() <= 1, "{said}");
    }
}

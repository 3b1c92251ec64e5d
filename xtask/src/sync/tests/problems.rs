//! What is said about bad files, and what is not.

use super::*;
use crate::sync::conflict::conflicts;

#[test]
fn two_images_for_one_tag_are_found_before_and_after_listing() {
    let sentence = read_text("a.io/x:1: c.io/y\nb.io/x:1: c.io/y\na.io/z:1: c.io/y\n").unwrap_err();
    assert_eq!(sentence.lines().count(), 2, "{sentence}");
    assert!(
        sentence.starts_with("`c.io/y:1` would be written twice: from `a.io/x:1` ("),
        "{sentence}"
    );

    let same = read_text("a.io/x:1: c.io/y\na.io/x:1,2: c.io/y\na.io/x: c.io/y\n");
    assert_eq!(same.unwrap().rules.len(), 3);

    let request = read_text("a.io/x: c.io/y\nb.io/x: c.io/y\n").unwrap();
    let found = |first: &str, second: &str| {
        let copies: Vec<_> = request
            .rules
            .iter()
            .zip([first, second])
            .map(|(rule, tag)| (rule, rule.copies(&[tag.parse().unwrap()])))
            .collect();
        conflicts(&copies).len()
    };
    assert_eq!(found("1", "1"), 1);
    assert_eq!(found("1", "2"), 0);
}

#[test]
fn every_problem_of_every_file_is_told_with_its_place() {
    let images = "a.io/x: ''
a.io/y: a.io/y
a.io/z:/(/: b.io/z
a.io/v: ${NO}/v
a.io/w: []
a.io/u: {a: b}
";
    let own = r#"[{"source": "a.io/x", "targetz": ["b.io/x"], "targets": [], "attestations": "stripp"},
 {"source": "a.io/x", "target": "b.io/x", "tags": [], "architectures": ["amd46"]},
 {"source": "a.io/x:1", "targets": "b.io/x", "tags": "2"}]"#;
    let sentence =
        read_files(&[("images.yaml", images), ("own.json", own)], &[], |_| {}).unwrap_err();
    let lines: Vec<&str> = sentence.lines().collect();
    let expected = [
        "`images.yaml`, line 1, column 9: the destination of `a.io/x` is empty",
        "`images.yaml`, line 2, column 9: `a.io/y` is both source and destination",
        "`images.yaml`, line 3, column 1: `(` is not a regular expression: ",
        "`images.yaml`, line 4, column 9: the variable `NO` is not set",
        "`images.yaml`, line 5, column 9: the destination of `a.io/w` is empty",
        "`images.yaml`, line 6, column 9: the destination of `a.io/u` must be a text",
        "`own.json`, line 1, column 23: unknown key `targetz`; hint: did you mean `targets`?",
        "`own.json`, line 1, column 57: the destination `targets` is empty",
        "`own.json`, line 1, column 77: `attestations` cannot be `stripp`; hint: did you mean `strip`?",
        "`own.json`, line 2, column 33: `target` is a name only, not `b.io/x`",
        "`own.json`, line 2, column 51: `tags` is empty",
        "`own.json`, line 2, column 73: unknown architecture `amd46`; hint: did you mean `amd64`?",
        "`own.json`, line 3, column 13: the source names its tags already",
    ];
    assert_eq!(lines.len(), expected.len(), "{sentence}");
    for (line, expected) in lines.iter().zip(expected) {
        assert!(line.starts_with(expected), "{line}\n{expected}");
    }
}

#[test]
fn a_misspelled_key_that_must_be_there_is_one_problem() {
    for (text, said) in [
        (
            "- source: a.io/x\n  target: b.io/y",
            "line 2, column 3: unknown key `target`; hint: did you mean `targets`?",
        ),
        (
            "- source: a.io/x\n  target: b.io/y\n  tags: v1",
            "line 2, column 3: unknown key `target`; hint: did you mean `targets`?",
        ),
        (
            "{sorce: a.io/x, targets: b.io/y}",
            "line 1, column 2: unknown key `sorce`; hint: did you mean `source`?",
        ),
        (
            "{source: a.io/x, platforms: linux/amd64}",
            "line 1, column 1: `targets` is missing",
        ),
        (
            "{source: nginx, target: nginx, tags: latest}",
            "line 1, column 1: `architectures` is missing",
        ),
    ] {
        let sentence = read_text(text).unwrap_err();
        assert_eq!(sentence, format!("`images.yaml`, {said}"), "{text}");
    }
}

#[test]
fn what_only_copy_takes_is_told_in_a_file() {
    let json = |source: &str| {
        format!(
            r#"{{"source": "{source}", "target": "x", "tags": ["1"], "architectures": ["amd64"]}}"#
        )
    };
    for source in [
        "oci:/abs/layout",
        "oci:layout:v1",
        "oci-archive:app.tar",
        "docker-archive:app",
        "docker:team/app",
        "docker:app:1",
    ] {
        let kind = source.split(':').next().unwrap();
        for text in [
            source.to_owned(),
            format!("{{source: '{source}', targets: b.io/x}}"),
            format!("a.io/x:1: '{source}'"),
            json(source),
        ] {
            let said = read_text(&text).expect_err(&text);
            let reason = format!(
                "`{kind}:` is not in a registry; hint: only `copy` takes these, as its source"
            );
            assert!(said.contains(&reason), "{text}: {said}");
        }
    }
    // An image of Docker Hub is called so.
    for text in [
        "docker:24-dind",
        "docker:24: b.io/x",
        "docker:24*: b.io/x",
        "{source: 'docker:/^24/', targets: b.io/x}",
        &json("docker:24"),
    ] {
        let request = read_text(text).unwrap_or_else(|said| panic!("{text}: {said}"));
        let source = request.rules[0].source.to_string();
        assert_eq!(source, "docker.io/library/docker");
    }
}

#[test]
fn files_that_say_nothing_are_refused() {
    for text in [
        "",
        "# only\n\n# comments\n",
        "---\n",
        "[]",
        "{}",
        "rules: []",
        "null: x",
    ] {
        let sentence = read_text(text).expect_err(text);
        assert!(sentence.starts_with("`images.yaml`"), "{text}: {sentence}");
    }
    let sentence = read_files(&[], &[], |_| {}).unwrap_err();
    assert!(
        sentence.starts_with("nothing says what to copy"),
        "{sentence}"
    );
    let absent = |inputs: &mut Inputs| inputs.files = vec!["/no/such/images.yaml".into()];
    let sentence = read_files(&[], &[], absent).unwrap_err();
    assert!(
        sentence.starts_with("`/no/such/images.yaml` cannot be read: "),
        "{sentence}"
    );
}

#[test]
fn no_message_shows_a_password() {
    let images = ("images.yaml", "a.io/x: b.io/x");
    for auth in [
        "a.io:\n  username: me\n  password: Hunter2!: x",
        "a.io:\n  username: me\n\tpassword: Hunter2!",
        "a.io: Hunter2!",
        "a.io: [Hunter2!]",
        "- Hunter2!",
        "Hunter2!",
        "a.io:\n  username: {}\n  password: Hunter2!",
        "a.io: {username: me, password: [Hunter2!]}",
        "a.io: {username: me, password: Hunter2!, insecure: Hunter2!}",
        "a.io: {username: me, password: 'Hunter2!${'}",
        "a.io: {username: me, password: '${{ Hunter2! }}'}",
        "a.io: {username: me, password: Hunter2!}\na.io/: {username: you, password: Hunter2!}",
        "https://me:Hunter2!@a.io: {username: me, password: x}",
        "me:Hunter2!@a.io:",
        "Hunter2://a.io:",
    ] {
        let sentence = read_files(&[images, ("auth.yaml", auth)], &[], |_| {}).expect_err(auth);
        assert!(
            sentence.starts_with("`auth.yaml`, line "),
            "{auth}: {sentence}"
        );
        assert!(!sentence.contains("Hunter2"), "{sentence}");
    }
    for (text, reason) in [
        (
            "a.io: {username: me, password: Hunter2!}",
            "pass this file with `--auth`",
        ),
        (
            "username: me\npassword: Hunter2!",
            "pass this file with `--auth`",
        ),
        ("DOCKER_PASSWORD=Hunter2!", "is not the name of an image"),
        (
            "{\"auth\": {\"a.io\": {\"pass\": \"Hunter2!\"}}}",
            "names no image",
        ),
    ] {
        let sentence = read_text(text).expect_err(text);
        assert!(sentence.contains(reason), "{text}: {sentence}");
        assert!(!sentence.contains("Hunter2"), "{sentence}");
    }
}

//! What `--print` says: reading it gives the same rules. [`read_files`] tries that with all that any test here reads.

use super::*;

/// What a rule means: whatever its destinations are called, the same images get the same tags.
pub(super) fn meaning(request: &Request) -> Vec<String> {
    let listed = "latest v1.0.0 1.2 2.0.0-rc.1 3.19 v2 dev-20240101 aa b sha256-0.sig";
    let listed: Vec<Tag> = listed.split(' ').map(|tag| tag.parse().unwrap()).collect();
    let rules = request.rules.iter().map(|rule| {
        let select = match &rule.select {
            Select::Digest(digest) => digest.to_string(),
            Select::Tags(filter) => filter.patterns().join(" "),
        };
        let copies = rule.copies(&listed).into_iter().map(|copy| {
            let mut to: Vec<String> = Vec::new();
            for (repository, tags) in copy.to {
                let tags: Vec<&str> = tags.iter().map(Tag::as_str).collect();
                to.push(format!("{repository} {tags:?}"));
            }
            format!("{} {to:?}", copy.at)
        });
        let copies: Vec<String> = copies.collect();
        format!("{} {select} {:?} {copies:?}", rule.source, rule.policy)
    });
    rules.collect()
}

#[test]
fn every_format_is_written_in_our_own() {
    let files = [
        ("images.txt", "--platform=linux/arm64 a/b:1\n"),
        (
            "images.yaml",
            "a.io/x:1,2: [\"b.io/x:one,two\", c.io/x]\na.io/y:v*: b.io/y\n",
        ),
        (
            "images.json",
            r#"{"source": "nginx:1", "target": "nginx", "tags": ["1", "latest"], "architectures": ["amd64"]}"#,
        ),
        ("auth.yaml", "b.io: {username: me, password: Hunter2}\n"),
    ];
    let request = read_files(&files, VARIABLES, |_| {}).unwrap();
    let text = printed(&request).unwrap();
    assert_eq!(
        text,
        r#"# Without the logins: they stay in a file of their own, for `--auth`.
- source: "docker.io/a/b"
  targets:
    - "registry.cn-beijing.aliyuncs.com/your-namespace/linux_arm64_b:1"
  tags:
    - "1"
  platforms:
    - "linux/arm64"
- source: "a.io/x"
  targets:
    - "b.io/x:one,two"
    - "c.io/x"
  tags:
    - "1"
    - "2"
- source: "a.io/y"
  targets:
    - "b.io/y"
  tags:
    - "v*"
- source: "docker.io/library/nginx"
  targets:
    - "registry.cn-beijing.aliyuncs.com/your-namespace/nginx:1"
    - "registry.cn-beijing.aliyuncs.com/your-namespace/nginx:latest"
  tags:
    - "1"
  platforms:
    - "linux/amd64"
  lenient: true
"#
    );
}

#[test]
fn several_tags_for_one_image_are_one_destination() {
    let own = "{source: 'a.io/x:1', targets: ['b.io/x:1', 'b.io/x:latest', 'b.io/x:1', 'c.io/x']}";
    let request = read_text(own).unwrap();
    assert_eq!(
        copies(&request, ""),
        ["a.io/x 1 -> b.io/x 1 latest", "a.io/x 1 -> c.io/x 1"]
    );
}

#[test]
fn what_our_own_form_cannot_say_is_told() {
    let text = "sync: [{source: a.io/x, target: b.io/x, type: repository, tags: {allow: ['a${']}}]";
    if let Ok(request) = read_unprinted(&[("regsync.yml", text)], &[], |_| {}) {
        let said = printed(&request).unwrap_err();
        assert!(said.contains("line 1: `${` in a pattern"), "{said}");
    }
    let request = read_unprinted(&[("images.yaml", "a.io/x:v*: b.io/x")], &[], |inputs| {
        inputs.tags = vec!["v1".to_owned()];
    });
    let said = printed(&request.unwrap()).unwrap_err();
    assert!(said.contains("hint: without `--tags`"), "{said}");
}

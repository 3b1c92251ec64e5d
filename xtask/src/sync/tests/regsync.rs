//! regsync's file: the examples of regclient's documentation and of its own tests.

use super::*;
use crate::copy::Referrers;

/// `docs/examples/regsync.yml` of regclient, without its `backup`, which is refused.
pub(super) const EXAMPLE: &str = r#"version: 1
creds:
  - registry: registry:5000
    tls: disabled
  - registry: docker.io
    user: "{{env \"HUB_USER\"}}"
    pass: "{{file \"TOKEN\"}}"
defaults:
  ratelimit:
    min: 100
    retry: 15m
  parallel: 2
  interval: 60m
sync:
  - source: busybox:latest
    target: registry:5000/library/busybox:latest
    type: image
  - source: alpine
    target: registry:5000/library/alpine
    type: repository
    tags:
      allow:
      - "latest"
      - "3"
      - "3.\\d+"
  - source: debian
    target: registry:5000/library/debian
    type: repository
    tags:
      allow:
      - "\\d+"
    mediaTypes:
      - "application/vnd.docker.distribution.manifest.v1+json"
      - "application/vnd.docker.distribution.manifest.v1+prettyjws"
      - "application/vnd.docker.distribution.manifest.v2+json"
      - "application/vnd.docker.distribution.manifest.list.v2+json"
      - "application/vnd.oci.image.manifest.v1+json"
      - "application/vnd.oci.image.index.v1+json"
  - source: ghcr.io/regclient/regctl:latest
    target: registry:5000/regclient/regctl:latest
    type: image
"#;

/// `cmd/regsync/testdata/config2.yml`.
pub(super) const SCHEDULED: &str = r#"creds:
  - registry: registry:5000
    tls: disabled
defaults:
  schedule: "15 3 * * *"
sync:
  - source: busybox:latest
    target: registry:5000/library/busybox:latest
    type: image
    interval: 12h
  - source: alpine:latest
    target: registry:5000/library/alpine:latest
    type: image
    ratelimit:
      retry: 1m
"#;

/// `cmd/regsync/testdata/config1.yml`, without its `backup` and the template that calls `index` and `split`.
pub(super) const ANCHORS: &str = r#"version: 1
creds:
  - registry: registry:5000
    tls: disabled
  - registry: docker.io
x-sync-hub: &sync-hub
  target: registry:5000/hub/{{ .Sync.Source }}
  type: image
sync:
  - <<: *sync-hub
    source: alpine
    type: repository
    tags:
      allow:
      - 3
      - 3.9
      - latest
"#;

fn read_regsync(text: &str) -> Result<Request, String> {
    read_files(&[("regsync.yml", text)], &[("HUB_USER", "me")], |_| {})
}

#[test]
fn the_tools_example_is_read_but_for_its_backup() {
    let token = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(token.path(), "geheim\n").unwrap();
    let text = EXAMPLE.replace("TOKEN", token.path().to_str().unwrap());
    let request = read_regsync(&text).unwrap();
    let to = "-> registry:5000";
    assert_eq!(
        copies(&request, "3 3.19 3x19 latest not-latest 12 bookworm"),
        [
            format!("docker.io/library/busybox latest {to}/library/busybox latest"),
            format!("docker.io/library/alpine 3 {to}/library/alpine 3"),
            format!("docker.io/library/alpine 3.19 {to}/library/alpine 3.19"),
            format!("docker.io/library/alpine 3x19 {to}/library/alpine 3x19"),
            format!("docker.io/library/alpine latest {to}/library/alpine latest"),
            format!("docker.io/library/debian 3 {to}/library/debian 3"),
            format!("docker.io/library/debian 12 {to}/library/debian 12"),
            format!("ghcr.io/regclient/regctl latest {to}/regclient/regctl latest"),
        ]
    );
    let expected = ("me".to_owned(), "geheim".to_owned(), false);
    assert_eq!(login(&request, "docker.io/library/alpine"), Some(expected));
    let local = request
        .logins
        .find(&"registry:5000/a".parse().unwrap())
        .unwrap();
    assert!(local.insecure && local.credentials == Credentials::Anonymous);
    assert_eq!(request.warnings.len(), 1);
    let ignored = "not read, and no matter for what is copied: `ratelimit`, `parallel`, `interval`";
    assert!(
        request.warnings[0].ends_with(ignored),
        "{}",
        request.warnings[0]
    );

    let newer = text.replace(
        "sync:\n",
        "sync:\n  - {foo: 1, source: a, target: b.io/b, type: image}\n",
    );
    let warnings = read_regsync(&newer).unwrap().warnings;
    assert!(warnings[0].ends_with(ignored), "{warnings:?}");
    assert!(
        warnings[1].ends_with(": not known, and not read: `foo`"),
        "{warnings:?}"
    );

    // As it is published.
    let published = text.replace("sync:\n", "  backup: \"bkup-{{.Ref.Tag}}\"\nsync:\n");
    let said = read_regsync(&published).unwrap_err();
    assert!(
        said.contains("line 14, column 11: `backup` would change what is copied"),
        "{said}"
    );
    assert_eq!(said.lines().count(), 1, "{said}");
}

#[test]
fn its_tests_files_are_read() {
    let request = read_regsync(SCHEDULED).unwrap();
    assert_eq!(request.rules.len(), 2);
    let request = read_regsync(ANCHORS).unwrap();
    assert_eq!(
        copies(&request, "3 3.9 3x9 13 latest"),
        ["3", "3.9", "3x9", "latest"]
            .map(|tag| format!("docker.io/library/alpine {tag} -> registry:5000/hub/alpine {tag}"))
    );
    let split = "{{ index (split .Sync.Source \"gcr.io/\") 1 }}";
    let said = read_regsync(&ANCHORS.replace("{{ .Sync.Source }}", split)).unwrap_err();
    assert!(said.contains("this template is not read"), "{said}");
}

#[test]
fn tags_are_chosen_as_regsync_does() {
    let chosen = |filter: &str, listed: &str| {
        let text =
            format!("sync: [{{source: a.io/x, target: b.io/x, type: repository, {filter}}}]");
        let request = read_regsync(&text).unwrap_or_else(|said| panic!("{filter}: {said}"));
        let lines = copies(&request, listed).into_iter();
        let tags = lines.map(|line| line.rsplit_once(' ').unwrap().1.to_owned());
        tags.collect::<Vec<_>>().join(" ")
    };
    let listed = "1.0 v1.2.0 1.2.0-rc1 2.0.0 2.0.0-rc1 2.1 latest lat";
    for (filter, tags) in [
        ("", listed),
        ("tags: {}", listed),
        ("tags: {allow: [lat]}", "lat"),
        (
            "tags: {allow: ['.*'], deny: ['.*-rc.*', lat]}",
            "1.0 v1.2.0 2.0.0 2.1 latest",
        ),
        (
            "tags: {semverRange: ['>=1.0.0 <2.0.0']}",
            "1.0 v1.2.0 1.2.0-rc1 2.0.0-rc1",
        ),
        ("tags: {semverRange: ['>=2.0.0']}", "2.0.0 2.1"),
        ("tags: {semverRange: ['=1', '^2.1.0']}", "1.0 2.1"),
        (
            "tags: {semverRange: ['~1.2.0-rc1'], deny: ['v.*']}",
            "1.2.0-rc1",
        ),
        (
            "tags: {semverRange: ['>=1'], allow: ['2.*', lat]}",
            "2.0.0 2.0.0-rc1 2.1",
        ),
        (
            "tagSets: [{allow: [latest]}, {semverRange: ['>2.0.0']}]",
            "latest 2.1",
        ),
        (
            "tagSets: [{allow: [latest]}], tags: {allow: [lat]}",
            "latest lat",
        ),
    ] {
        assert_eq!(chosen(filter, listed), tags, "{filter}");
    }
}

#[test]
fn a_tag_that_is_not_written_is_latest_on_each_side() {
    let text = "sync:\n- {source: 'a.io/x:v1', target: b.io/x, type: image}\n- {source: a.io/y, target: 'b.io/y:v2', type: image}\n";
    let request = read_regsync(text).unwrap();
    assert_eq!(
        copies(&request, ""),
        ["a.io/x v1 -> b.io/x latest", "a.io/y latest -> b.io/y v2"]
    );
}

#[test]
fn what_changes_what_is_copied_and_is_not_read_is_named() {
    let entry =
        |more: &str| format!("sync: [{{source: a.io/x, target: b.io/x, type: image, {more}}}]");
    for (text, sentence) in [
        (entry("referrers: true, referrerFilters: [{artifactType: x}]"), "`referrerFilters` would change what is copied"),
        (entry("digestTags: true, referrerSource: a.io/z"), "`referrerSource` would change what is copied"),
        (entry("platform: linux/amd64"), "`platform` would change what is copied"),
        (entry("platforms: [linux/amd64]"), "`platforms` would change what is copied"),
        (entry("includeExternal: true"), "`includeExternal` would change what is copied"),
        (entry("mediaTypes: [application/vnd.oci.image.index.v1+json]"), "`mediaTypes` would change"),
        (entry("repos: {allow: [a]}"), "`repos` would change what is copied"),
        (entry("platfrom: x"), "unknown key `platfrom`; hint: did you mean `platform`?"),
        (format!("defaults: {{includeExternal: true}}\n{}", entry("")), "line 1, column 29: `includeExternal` would"),
        ("sync: [{source: a.io, target: b.io, type: registry}]".to_owned(), "`type: registry` is not read"),
        ("sync: [{source: a.io/x, target: b.io/x, type: images}]".to_owned(), "`type` is `image` or `repository`"),
        ("sync: [{source: a.io/x, type: image}]".to_owned(), "`target` is missing"),
        ("sync: [{source: 'ocidir://x', target: b.io/x, type: image}]".to_owned(), "`source` is no image in a registry"),
        ("sync: [{source: a.io/x, target: a.io/x, type: repository}]".to_owned(), "is both source and destination"),
        ("sync: [{source: a.io/x, target: b.io/x, type: repository, tags: {allows: [a]}}]".to_owned(), "did you mean `allow`?"),
        ("sync: [{source: a.io/x, target: b.io/x, type: repository, tags: {semverRange: ['>=1.2.3.4']}}]".to_owned(), "`>=1.2.3.4` is not a range of versions"),
        (format!("version: 2\n{}", entry("")), "only `version: 1` is known"),
        (format!("creds: [{{registry: a.io, credHelper: x}}]\n{}", entry("")), "`credHelper` is not read"),
        (format!("creds: [{{registry: a.io, user: Hunter2}}]\n{}", entry("")), "`user` is set and `pass` is not"),
        (format!("creds: [{{registry: a.io, tls: on}}]\n{}", entry("")), "`tls` is `enabled`, `insecure` or `disabled`"),
    ] {
        let said = read_regsync(&text).expect_err(&text);
        assert!(said.contains(sentence), "{text}: {said}");
        assert!(!said.contains("Hunter2"), "{said}");
        assert_eq!(said.lines().count(), 1, "{said}");
    }
    // An entry's own value counts instead of the default.
    let text = format!(
        "defaults: {{includeExternal: true}}\n{}",
        entry("includeExternal: false")
    );
    assert!(read_regsync(&text).is_ok());
}

#[test]
fn referrers_go_with_an_image_where_they_are_asked_for() {
    let entry =
        |more: &str| format!("sync: [{{source: a.io/x, target: b.io/x, type: image, {more}}}]");
    let with_default = |more: &str| format!("defaults: {{referrers: true}}\n{}", entry(more));
    // Cosign's tags are tags of the repository.
    let repository = |more: &str| entry(more).replace("type: image", "type: repository");
    for (text, referrers) in [
        (entry(""), Referrers::Strip),
        (entry("referrers: false"), Referrers::Strip),
        (
            entry("referrerFilters: [{artifactType: x}]"),
            Referrers::Strip,
        ),
        (entry("referrers: true"), Referrers::Keep),
        (entry("digestTags: true"), Referrers::Keep),
        (with_default(""), Referrers::Keep),
        (with_default("referrers: false"), Referrers::Strip),
        (repository(""), Referrers::Keep),
        (repository("tags: {deny: [latest]}"), Referrers::Keep),
        (repository("tags: {allow: ['v.*']}"), Referrers::Strip),
    ] {
        let request = read_regsync(&text).expect(&text);
        assert_eq!(request.rules[0].policy.referrers, referrers, "{text}");
    }
}

#[test]
fn a_variable_that_is_not_set_is_empty_and_told() {
    let text = "creds: [{registry: a.io, user: '{{ env \"NO\" }}', pass: '{{env `NO`}}'}]\nsync: [{source: a.io/x, target: '{{ env \"HUB_USER\" }}.io/x', type: image}]";
    let request = read_regsync(text).unwrap();
    assert_eq!(copies(&request, ""), ["a.io/x latest -> me.io/x latest"]);
    assert!(login(&request, "a.io/x").is_none());
    assert!(request.warnings[0].contains("the variable `NO` is not set"));

    // Where it is the reason of something wrong, it is told there.
    for (text, sentence) in [
        (
            "creds: [{registry: a.io, user: me, pass: '{{env \"NO\"}}'}]\nsync: [{source: a.io/x, target: b.io/x, type: image}]",
            "`user` is set and `pass` is not; the variable `NO` is not set",
        ),
        (
            "sync: [{source: 'alpine:{{ env \"NO\" }}', target: b.io/x, type: image}]",
            "is not a tag",
        ),
        (
            "sync: [{source: 'alpine:{{ env \"NO\" }}', target: b.io/x, type: image}]",
            "; the variable `NO` is not set",
        ),
    ] {
        let said = read_regsync(text).unwrap_err();
        assert!(said.contains(sentence), "{said}");
    }
}

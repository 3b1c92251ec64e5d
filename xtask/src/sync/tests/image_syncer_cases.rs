//! What image-syncer takes, besides what it documents.

use super::*;

const ONE: (&str, &str) = ("images.yaml", "a.io/x:1: b.io/x");

fn with_auth(auth: &str, variables: &[(&str, &str)]) -> Request {
    let read = read_files(&[ONE, ("auth.yaml", auth)], variables, |_| {});
    read.unwrap_or_else(|said| panic!("{auth}: {said}"))
}

fn told(request: &Request) -> String {
    request.warnings.join("\n")
}

#[test]
fn a_value_that_is_a_variable_is_replaced_if_it_is_set() {
    let auth = "a.io: {username: \"$ACR_USER\", password: \"$ACR_PASSWORD\"}\nb.io: {username: $oauthtoken, password: p$x}";
    let request = with_auth(auth, &[("ACR_USER", "me"), ("ACR_PASSWORD", "p$ACR_USER")]);
    let expected = ("me".to_owned(), "p$ACR_USER".to_owned(), false);
    assert_eq!(login(&request, "a.io/x"), Some(expected));
    let expected = ("$oauthtoken".to_owned(), "p$x".to_owned(), false);
    assert_eq!(login(&request, "b.io/x"), Some(expected));
    let set = [("REG", "b.io/ns")];
    for images in ["a.io/x:1: $REG/x", "a.io/x:1: ['${REG}/x']"] {
        let request = read_files(&[("images.yaml", images)], &set, |_| {}).unwrap();
        assert_eq!(copies(&request, ""), ["a.io/x 1 -> b.io/ns/x 1"]);
    }
    let said = read_text("a.io/x:1: $REG/x").unwrap_err();
    assert!(said.ends_with("the variable `REG` is not set"), "{said}");
}

#[test]
fn insecure_has_every_spelling_of_yaml() {
    for yes in ["true", "True", "TRUE", "yes", "on", "y", "\"true\""] {
        let request = with_auth(&format!("a.io: {{insecure: {yes}}}"), &[]);
        let entry = request.logins.find(&"a.io/x".parse().unwrap()).unwrap();
        assert!(entry.insecure, "{yes}");
    }
    for no in ["false", "no", "Off", "n", "~", ""] {
        let auth = format!("a.io:\n  username: u\n  password: p\n  insecure: {no}");
        let (.., insecure) = login(&with_auth(&auth, &[]), "a.io/x").unwrap();
        assert!(!insecure, "{no}");
    }
}

#[test]
fn what_signs_nobody_in_is_no_error() {
    for (auth, expected) in [
        ("a.io: {username: '', password: ''}", ""),
        ("a.io:", ""),
        (
            "a.io: {username: u, password: Hunter2!}\na.io/: {username: u, password: Hunter2!}",
            "",
        ),
        (
            "a.io: {username: u, password: ~}",
            "`username` is set and `password` is not",
        ),
        (
            "a.io: {password: Hunter2!}",
            "`password` is set and `username` is not",
        ),
        (
            "a.io: {username: u, pasword: Hunter2!}",
            "unknown key `pasword`; hint: did you mean `password`?",
        ),
        (
            "a.io: {username: u, password: p, email: Hunter2!}",
            "line 1, column 34: unknown key `email`",
        ),
        (
            "harbor: {username: u, password: Hunter2!}",
            "`harbor` does not begin with a registry",
        ),
        (
            "https://a.io: {username: u, password: Hunter2!}",
            "`https://a.io` is read as `a.io`",
        ),
    ] {
        let said = told(&with_auth(auth, &[]));
        assert!(said.contains(expected), "{auth}: {said}");
        assert_eq!(said.is_empty(), expected.is_empty(), "{auth}: {said}");
        assert!(!said.contains("Hunter2"), "{said}");
    }
    let urls = "https://a.io: {username: u, password: p}\nhttps://index.docker.io/v1/: {username: h, password: p}";
    let request = with_auth(urls, &[]);
    assert_eq!(login(&request, "a.io/x").unwrap().0, "u");
    assert_eq!(login(&request, "docker.io/library/x").unwrap().0, "h");
}

#[test]
fn what_is_not_read_is_told() {
    let config = r#"{"auth":{},"images":{"busybox:1":"b.io/x"},"ispublic":false}"#;
    let request = read_text(config).unwrap();
    assert!(told(&request).contains("unknown key `ispublic`"));
    let request = read_text("a.io/x:1: b.io/x\n---\nb: c").unwrap();
    assert_eq!(copies(&request, ""), ["a.io/x 1 -> b.io/x 1"]);
    let said = told(&request);
    assert!(
        said.contains("line 3, column 1: a second document begins, which is not read"),
        "{said}"
    );
    let twice = "a.io/x:1: b.io/x\na.io/x:1: b.io/x";
    assert_eq!(copies(&read_text(twice).unwrap(), "").len(), 1);
    let anchor = "a.io/x:1: &d\n  - b.io/a\na.io/x:2: *d";
    assert_eq!(copies(&read_text(anchor).unwrap(), "").len(), 2);
}

#[test]
fn a_wrong_rule_spoils_no_other() {
    let text = "a.io/x:1: b.io/x\na.io/x:1 1: b.io/y\na.io/z:1: [b.io/z, 'b.io/Z']\na.io/w:1: ':'";
    let request = read_text(text).unwrap();
    assert_eq!(
        copies(&request, ""),
        ["a.io/x 1 -> b.io/x 1", "a.io/z 1 -> b.io/z 1"]
    );
    let wrong: Vec<String> = request
        .wrong
        .iter()
        .map(|it| it.destination.to_string())
        .collect();
    assert_eq!(wrong, ["b.io/y", "b.io/z", "registry.invalid/wrong/name"]);
    assert!(request.wrong[0].origin.ends_with("images.yaml`, line 2"));
    // In our own form it stops everything.
    let own = "- {source: a.io/x:1, targets: b.io/x}\n- {source: 'a.io/x:1 1', targets: b.io/y}";
    assert!(read_text(own).is_err());
}

#[test]
fn an_empty_destination_is_in_the_default_registry() {
    let text = "k8s.gcr.io/pause:3.6:\nquay.io/a/b/c:/x/: ''";
    let expected = [
        "k8s.gcr.io/pause 3.6 -> r.io/ns/pause 3.6",
        "quay.io/a/b/c x -> r.io/ns/c x",
    ];
    let variables = [("DEFAULT_REGISTRY", "r.io"), ("DEFAULT_NAMESPACE", "ns")];
    let request = read_files(&[("images.yaml", text)], &variables, |_| {}).unwrap();
    assert_eq!(copies(&request, "x"), expected);
    let to = |inputs: &mut Inputs| inputs.to = Some("r.io/ns".to_owned());
    let request = read_files(&[("images.yaml", text)], &[], to).unwrap();
    assert_eq!(copies(&request, "x"), expected);
    let said = read_files(&[("images.yaml", text)], &[], |_| {}).unwrap_err();
    assert!(
        said.contains("line 1, column 21: the destination of `k8s.gcr.io/pause:3.6` is empty"),
        "{said}"
    );
}

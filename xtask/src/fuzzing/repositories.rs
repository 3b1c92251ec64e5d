//! The files of `sync`: every format, told apart by content.

use std::collections::HashMap;
use std::fs;

use crate::oci::{Tag, TagOrDigest};
use crate::sync::{Inputs, Request, printed, read};

/// No image is copied onto itself, nothing is written twice, how lines end changes nothing, and what is printed in our
/// own form is the same again. The same text as logins names what is wrong with it.
pub(super) fn sync(data: &[u8]) {
    let Ok(directory) = tempfile::tempdir() else {
        return;
    };
    let [text, images] = ["text.yaml", "images.yaml"].map(|name| directory.path().join(name));
    let as_images = Inputs {
        files: vec![text.clone()],
        ..Inputs::default()
    };
    let as_logins = Inputs {
        files: vec![images.clone()],
        auth: Some(text.clone()),
        ..Inputs::default()
    };
    let read_as = |inputs: &Inputs, data: &[u8]| {
        let written = fs::write(&text, data).and_then(|()| fs::write(&images, "a.io/b: c.io/d\n"));
        assert!(written.is_ok(), "the temporary folder cannot be written");
        read(inputs, &variable).map_err(|error| error.to_string())
    };
    let request = read_as(&as_images, data);
    match &request {
        Ok(request) => {
            is_sound(request);
            if let Ok(printed) = printed(request) {
                let again = read_as(&as_images, printed.as_bytes());
                let again = again.map(|it| printed_rules(&it));
                assert_eq!(again, Ok(printed_rules(request)), "{printed}");
            }
        }
        Err(told) => told.lines().for_each(super::is_one_line),
    }
    if let Err(told) = read_as(&as_logins, data) {
        told.lines().for_each(super::is_one_line);
    }
    if !data.contains(&b'\r') {
        let data = data.iter().flat_map(|byte| match byte {
            b'\n' => b"\r\n".as_slice(),
            byte => std::slice::from_ref(byte),
        });
        let again = read_as(&as_images, &data.copied().collect::<Vec<u8>>());
        assert_eq!(format!("{again:?}"), format!("{request:?}"));
    }
}

/// Without what is said about logins.
fn printed_rules(request: &Request) -> Vec<String> {
    let printed = printed(request).unwrap_or_default();
    let rules = printed.lines().filter(|line| !line.starts_with('#'));
    rules.map(str::to_owned).collect()
}

fn variable(name: &str) -> Option<String> {
    let value = match name {
        "REGISTRY" => "registry.example.com",
        "REGISTRY_NAMESPACE" => "team",
        "REGISTRY_USER" => "robot$team",
        "REGISTRY_PASSWORD" => "not a secret",
        _ => return None,
    };
    Some(value.to_owned())
}

fn is_sound(request: &Request) {
    let listed = ["latest", "v1.0.0", "1.2", "2.0.0-rc.1", "sha256-0.sig"];
    let listed: Vec<Tag> = listed.iter().filter_map(|tag| tag.parse().ok()).collect();
    assert!(!request.rules.is_empty(), "nothing to do is no success");
    let mut written = HashMap::new();
    for rule in &request.rules {
        assert!(!rule.destinations.is_empty(), "{rule:?}");
        for copy in rule.copies(&listed) {
            assert_eq!(copy.to.len(), rule.destinations.len());
            for (repository, tags) in &copy.to {
                let is_itself = repository.is_same(&rule.source)
                    && matches!(&copy.at, TagOrDigest::Tag(at) if tags.contains(at));
                assert!(!is_itself, "{rule:?}");
            }
        }
        // What needs no listing is known, and looked at, when the files are read.
        for copy in rule.copies(&[]) {
            for (repository, tags) in copy.to {
                for tag in tags {
                    let content = format!("{} {} {:?}", rule.source, copy.at, rule.policy);
                    let first = written
                        .entry((repository.clone(), tag))
                        .or_insert(content.clone());
                    assert_eq!(*first, content, "at {repository}");
                }
            }
        }
    }
}

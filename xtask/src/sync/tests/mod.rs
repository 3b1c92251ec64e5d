//! Files on disk and variables, as the tests of this module need them.

mod command_line;
mod default_registry;
mod image_syncer;
mod image_syncer_cases;
mod images_txt;
mod own;
mod printed;
mod problems;
mod regsync;
mod schema;
mod shapes;
mod skopeo;

use super::*;
use crate::credentials::Credentials;
use crate::exit::Exit;
use crate::oci::Tag;

/// Reads files given as (name, text); `auth.yaml` goes to `--auth`. What is read is also written in our own form, and
/// that read again.
fn read_files(
    files: &[(&str, &str)],
    variables: &[(&str, &str)],
    narrow: impl FnOnce(&mut Inputs),
) -> Result<Request, String> {
    let request = read_unprinted(files, variables, narrow)?;
    if request.rules.iter().all(|rule| rule.only.is_none()) {
        let text = printed(&request).unwrap();
        let again = read_unprinted(&[("printed.yaml", &text)], &[], |_| {});
        let again = again.unwrap_or_else(|said| panic!("{text}: {said}"));
        assert_eq!(
            printed::meaning(&again),
            printed::meaning(&request),
            "{text}"
        );
        assert_eq!(printed(&again).unwrap().lines().last(), text.lines().last());
        for secret in request.logins.credentials() {
            if let Credentials::Basic { password, .. } = secret
                && password.expose().len() > 3
            {
                assert!(!text.contains(password.expose().as_str()), "{text}");
            }
        }
    }
    Ok(request)
}

fn read_unprinted(
    files: &[(&str, &str)],
    variables: &[(&str, &str)],
    narrow: impl FnOnce(&mut Inputs),
) -> Result<Request, String> {
    let directory = tempfile::tempdir().unwrap();
    let mut inputs = Inputs::default();
    for (name, text) in files {
        let path = directory.path().join(name);
        std::fs::write(&path, text).unwrap();
        if *name == "auth.yaml" {
            inputs.auth = Some(path);
        } else {
            inputs.files.push(path);
        }
    }
    narrow(&mut inputs);
    let lookup = |name: &str| {
        let variable = variables.iter().find(|(known, _)| *known == name);
        variable.map(|(_, value)| (*value).to_owned())
    };
    read(&inputs, &lookup).map_err(|error| {
        assert_eq!(crate::exit::code(&error), Exit::Usage);
        let directory = format!("{}/", directory.path().display());
        error.to_string().replace(&directory, "")
    })
}

fn read_text(text: &str) -> Result<Request, String> {
    read_files(&[("images.yaml", text)], VARIABLES, |_| {})
}

const VARIABLES: &[(&str, &str)] = &[
    ("REGISTRY", "registry.cn-beijing.aliyuncs.com"),
    ("REGISTRY_NAMESPACE", "your-namespace"),
    ("REGISTRY_USER", "your-username"),
    ("REGISTRY_PASSWORD", "your-password"),
];

/// A line for each copy and destination, for a source with the tags `listed`.
fn copies(request: &Request, listed: &str) -> Vec<String> {
    let listed: Vec<Tag> = listed
        .split_whitespace()
        .map(|t| t.parse().unwrap())
        .collect();
    let mut lines = Vec::new();
    for rule in &request.rules {
        for copy in rule.copies(&listed) {
            for (repository, tags) in copy.to {
                let tags: Vec<&str> = tags.iter().map(Tag::as_str).collect();
                let (source, tags) = (&rule.source, tags.join(" "));
                lines.push(format!("{source} {} -> {repository} {tags}", copy.at));
            }
        }
    }
    lines
}

fn login(request: &Request, repository: &str) -> Option<(String, String, bool)> {
    let login = request.logins.find(&repository.parse().unwrap())?;
    match &login.credentials {
        Credentials::Basic { username, password } => {
            Some((username.clone(), password.expose().clone(), login.insecure))
        }
        _ => None,
    }
}

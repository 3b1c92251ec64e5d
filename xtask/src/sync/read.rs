//! From the command line's files and filters to a [`Request`].
//!
//! It reads the named files, of which `-` is standard input, and nothing else; variables come through a lookup.

use std::fs::File;
use std::io::{self, IsTerminal as _, Read};
use std::path::{Path, PathBuf};

use anyhow::Result;

use super::auth_file;
use super::command_line::{self, Named};
use super::conflict::{chains, conflicts};
use super::default_registry::DefaultRegistry;
use super::formats::{self, Parsed};
use super::reader::ConfigReader;
use super::request::{LocalImage, Request};
use super::rule::{ImageCopy, Rule};
use super::tags::{Select, TagFilter};
use crate::copy::{Attestations, MissingPlatform, Policy, Referrers};
use crate::credentials::Prefix;
use crate::exit::Problems;
use crate::oci::Platform;

/// The files and filters of the command line.
#[derive(Clone, Debug, Default)]
pub struct Inputs {
    /// In any of the formats: `FILE`, `--images FILE`, `--config FILE`; `-` is standard input.
    pub files: Vec<PathBuf>,
    /// `copy` and `tags`: what the command line itself names, instead of files.
    pub named: Option<Named>,
    /// `--auth FILE`: logins.
    pub auth: Option<PathBuf>,
    /// `--to`: the registry, with a path, for images whose destination is written without one.
    pub to: Option<String>,
    /// `--tags`: patterns that leave only some of the tags that the files choose.
    pub tags: Vec<String>,
    /// `--platform`: replaces those in the files.
    pub platforms: Vec<String>,
    /// `--missing-platform`: replaces what the files say.
    pub missing_platform: Option<MissingPlatform>,
    /// `--attestations`: replaces those in the files.
    pub attestations: Option<Attestations>,
    /// `--referrers`: replaces those in the files.
    pub referrers: Option<Referrers>,
    /// `--os` and `--arch`: whichever of these an image has, and no image that has none.
    pub any_platform_of: Vec<Platform>,
}

/// Reads and validates everything, with `lookup` for variables (an unset and an empty one are `None`). Blocking.
///
/// # Errors
/// [`BadInput`](crate::exit::BadInput) with one line for each problem.
pub fn read(inputs: &Inputs, lookup: &dyn Fn(&str) -> Option<String>) -> Result<Request> {
    let mut problems = Problems::default();
    let (mut warnings, mut wrong) = (Vec::new(), Vec::new());
    let mut found = Parsed::default();
    if let Some(to) = &inputs.to {
        match DefaultRegistry::named(to) {
            Ok(default) => found.default_registry = Some(default),
            Err(problem) => problems.push(format!("`--to`: {problem}")),
        }
    }
    let mut local = None;
    if let Some(named) = &inputs.named {
        local = command_line::read(named, &mut found, &mut problems);
    } else if inputs.files.is_empty() {
        problems.push(
            "nothing says what to copy; hint: `sync docker/sync.yaml`, with the file before `--tags` and `--platform`, which take all that follows",
        );
    }
    let files = inputs.files.iter().map(|path| (path, false));
    let auth = inputs.auth.iter().map(|path| (path, true));
    for (path, is_auth) in files.chain(auth) {
        let file = path.display().to_string();
        let text = match text(path) {
            Ok(text) => text,
            Err(error) => {
                problems.push(format!("`{file}` cannot be read: {error}"));
                continue;
            }
        };
        let reader = &mut ConfigReader {
            file,
            lookup,
            problems: &mut problems,
            warnings: &mut warnings,
            wrong: &mut wrong,
        };
        if !is_auth {
            formats::read(reader, &text, &mut found);
        } else if let Some(document) = reader.document(&text) {
            auth_file::read(&mut found.logins, reader, &document);
        }
    }
    let is_to_idle = found
        .default_registry
        .as_ref()
        .is_some_and(|it| !it.is_used());
    let Parsed {
        mut rules,
        mut projects,
        mut logins,
        default_registry,
        has_others,
    } = found;
    if let Some(default) = default_registry
        && let Some(login) = default.login
        && let Ok(host) = Prefix::new(&default.host, "")
    {
        // A login in a file counts first.
        let _ = logins.add(host, login);
    }
    let all = rules
        .iter_mut()
        .map(|it| (&mut it.select, &mut it.only, &mut it.policy));
    let many = projects
        .iter_mut()
        .map(|it| (&mut it.select, &mut it.only, &mut it.policy));
    narrow(all.chain(many), local.as_mut(), inputs, &mut problems);
    // What else is wrong may be why.
    if inputs.to.is_some() && is_to_idle && problems.count() == wrong.len() {
        problems.push(idle(&rules));
    }

    let copies: Vec<(&Rule, Vec<ImageCopy>)> = rules.iter().map(|r| (r, r.copies(&[]))).collect();
    problems.extend(conflicts(&copies));
    warnings.extend(chains(&rules));
    // With nothing left to do, or another problem, they stop the run like any other.
    if rules.is_empty() && projects.is_empty() || problems.count() > wrong.len() {
        problems.none()?;
    }
    Ok(Request {
        rules,
        projects,
        local,
        logins,
        warnings,
        wrong,
        may_be_empty: !has_others,
    })
}

/// Why `--to` is wrong where no image goes there: the files name every destination in full, and to our own format, to
/// image-syncer and to regsync a name without a registry is one, too.
fn idle(rules: &[Rule]) -> String {
    let names = rules.iter().flat_map(|rule| &rule.destinations);
    let names = names.map(|it| it.repository.to_string());
    let at_hub = names.into_iter().find(|it| it.starts_with("docker.io/"));
    let full = at_hub.unwrap_or_else(|| "docker.io/library/app".to_owned());
    let short = full.trim_start_matches("docker.io/");
    let short = short.trim_start_matches("library/");
    format!(
        "`--to`: nothing goes there, because the files say of each image where it goes: a destination without a registry, such as `{short}`, is `{full}`; hint: leave out `--to`, or write the registry before the name"
    )
}

/// Some hundred thousand images.
const LARGEST_FILE: u64 = 64 << 20;

fn text(path: &Path) -> io::Result<String> {
    if path == Path::new("-") {
        let input = io::stdin();
        let is_terminal = input.is_terminal();
        return standard_input(input, is_terminal);
    }
    read_text(File::open(path)?)
}

/// A terminal would wait for somebody to type a configuration.
fn standard_input(input: impl Read, is_terminal: bool) -> io::Result<String> {
    match is_terminal {
        true => Err(io::Error::other(
            "it is standard input, and that is a terminal; hint: `sync - < FILE`, or name the file",
        )),
        false => read_text(input),
    }
}

fn read_text(from: impl Read) -> io::Result<String> {
    let mut text = String::new();
    from.take(LARGEST_FILE + 1).read_to_string(&mut text)?;
    match text.len() as u64 > LARGEST_FILE {
        true => Err(io::Error::other("it is larger than 64 MiB")),
        false => Ok(text),
    }
}

/// Applies the filters of the command line.
fn narrow<'r>(
    rules: impl Iterator<Item = (&'r mut Select, &'r mut Option<TagFilter>, &'r mut Policy)>,
    local: Option<&mut LocalImage>,
    inputs: &Inputs,
    problems: &mut Problems,
) {
    let mut filter = TagFilter::all();
    for pattern in &inputs.tags {
        if let Err(error) = filter.add(pattern) {
            problems.push(format!("`--tags`: {error}"));
        }
    }
    let mut platforms = Vec::new();
    for platform in &inputs.platforms {
        match platform.parse() {
            Ok(platform) => platforms.push(platform),
            Err(error) => problems.push(format!("`--platform`: {error}")),
        }
    }
    let mut policies = Vec::new();
    for (select, only, policy) in rules {
        policies.push(policy);
        match select {
            _ if inputs.tags.is_empty() => {}
            // All tags, and of them some: those need not be listed if they are named.
            Select::Tags(all) if all.is_all() => *all = filter.clone(),
            _ => *only = Some(filter.clone()),
        }
    }
    if let Some(image) = local.as_ref().filter(|_| !inputs.tags.is_empty()) {
        let name = &image.name;
        problems.push(format!(
            "`--tags` chooses tags of a repository, and `{name}` is one image"
        ));
    }
    for policy in policies.into_iter().chain(local.map(|it| &mut it.policy)) {
        if !platforms.is_empty() {
            policy.platforms = platforms.clone();
        }
        if !inputs.any_platform_of.is_empty() {
            policy.platforms = inputs.any_platform_of.clone();
            policy.any_of = true;
            policy.missing_platform = MissingPlatform::Skip;
        }
        policy.missing_platform = inputs.missing_platform.unwrap_or(policy.missing_platform);
        policy.attestations = inputs.attestations.unwrap_or(policy.attestations);
        policy.referrers = inputs.referrers.unwrap_or(policy.referrers);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_is_asked_to_type_a_configuration() {
        let said = standard_input(&b"nginx"[..], false).unwrap();
        assert_eq!(said, "nginx");
        let error = standard_input(&b""[..], true).unwrap_err().to_string();
        assert!(error.contains("a terminal"), "{error}");
    }
}

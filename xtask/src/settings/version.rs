//! Which version is released, and from which commit.

use std::path::Path;

use semver::Version;
use xshell::{Shell, cmd};

use super::env::Environment;

/// A version and the git tag that stands for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Release {
    pub version: Version,
    /// As it was pushed; `v` and the version where nobody pushed one.
    pub tag: String,
}

/// The commit that is checked out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Commit {
    pub id: String,
    /// Seconds since 1970.
    pub timestamp: u64,
}

/// `--release-version` or `RELEASE_VERSION`, else the pushed tag, else the newest version tag on HEAD.
pub(super) fn release(
    argument: Option<&str>,
    environment: &Environment,
    root: &Path,
) -> Result<Option<Release>, String> {
    let given = match argument {
        Some(value) => Some(("--release-version", value)),
        None => environment
            .get("RELEASE_VERSION")
            .map(|value| ("RELEASE_VERSION", value)),
    };
    if let Some((name, value)) = given {
        let version = parse(name, value)?;
        return Ok(Some(Release {
            tag: format!("v{version}"),
            version,
        }));
    }
    let reference = environment.get("GITHUB_REF").unwrap_or_default();
    if let Some(tag) = reference.strip_prefix("refs/tags/") {
        return Ok(Some(Release {
            version: parse("GITHUB_REF", tag)?,
            tag: tag.to_owned(),
        }));
    }
    let tags = git(root, environment, &["tag", "--points-at", "HEAD"]).unwrap_or_default();
    let releases = tags.lines().filter_map(|tag| {
        Some(Release {
            version: parse("tag", tag).ok()?,
            tag: tag.to_owned(),
        })
    });
    Ok(releases.max_by(|a, b| a.version.cmp(&b.version)))
}

pub(super) fn commit(root: &Path, environment: &Environment) -> Option<Commit> {
    let text = git(root, environment, &["log", "-1", "--format=%H %ct"])?;
    let (id, timestamp) = text.split_once(' ')?;
    Some(Commit {
        id: id.to_owned(),
        timestamp: timestamp.parse().ok()?,
    })
}

/// `name` says where the text is written, for the message.
fn parse(name: &str, text: &str) -> Result<Version, String> {
    let why = match Version::parse(text.strip_prefix('v').unwrap_or(text)) {
        Ok(version) if version.build.is_empty() => return Ok(version),
        Ok(_) => "a tag cannot hold `+` and build metadata".to_owned(),
        Err(error) => error.to_string(),
    };
    Err(format!(
        "`{name}` is not a version: `{text}`: {why}\nhint: versions look like `1.2.3` or `1.2.3-beta.4`"
    ))
}

fn git(root: &Path, environment: &Environment, args: &[&str]) -> Option<String> {
    let shell = Shell::new().ok()?;
    let git = cmd!(shell, "git -C {root} {args...}");
    let withheld = environment.secret_names();
    withheld
        .iter()
        .fold(git, |git, name| git.env_remove(name))
        .quiet()
        .ignore_stderr()
        .read()
        .ok()
}

//! Rules in our own form, whatever they were read from: the way to move over.
//!
//! Reading it again gives the same rules. Logins are not in it.

use std::fmt::Write as _;

use crate::copy::{Attestations, MissingPlatform, Policy, Referrers};
use crate::oci::{Digest, Tag};
use crate::sync::project::Project;
use crate::sync::request::Request;
use crate::sync::rule::{DestinationTags, Rule, RuleDestination};
use crate::sync::tags::{Select, TagFilter};

/// A line that is shorter is not cut where it is shown.
const LONGEST: usize = 3_000;

/// The rules of `request` as YAML.
///
/// # Errors
/// A sentence about the rule that our own form has no words for.
pub fn printed(request: &Request) -> Result<String, String> {
    let mut out = String::new();
    if request.logins.credentials().next().is_some() {
        out += "# Without the logins: they stay in a file of their own, for `--auth`.\n";
    }
    let rules = request.rules.iter().map(|it| (entry(it), &it.origin));
    let projects = request.projects.iter();
    let projects = projects.map(|it| (project(it), &it.origin));
    for (entry, origin) in rules.chain(projects) {
        out += &entry.map_err(|why| format!("{origin}: {why}"))?;
    }
    Ok(out)
}

/// The digest of what `request` and its options ask for, to tell parts of different runs apart. Nothing of it says
/// where the files are or who signs in.
pub fn asked_for(request: &Request) -> Digest {
    let or_why = |entry: Result<String, String>| entry.unwrap_or_else(|why| why);
    let mut text = String::new();
    for it in &request.rules {
        let chosen = (&it.select, &it.only, &it.policy);
        text += &format!("{}{}{chosen:?}\n", or_why(entry(it)), it.source);
        let targets = it
            .destinations
            .iter()
            .flat_map(|to| targets(to, &it.select));
        text.extend(targets.map(|it| it + "\n"));
    }
    for it in &request.projects {
        let chosen = (&it.select, &it.only, &it.policy, &it.destinations);
        text += &format!("{}{}{chosen:?}\n", or_why(project(it)), it.pattern);
    }
    for it in &request.wrong {
        text += &format!("{} {}\n", it.destination, it.reason);
    }
    let local = request.local.as_ref().map(|it| &it.name);
    text += &format!("{local:?}");
    Digest::sha256_of(text.as_bytes())
}

fn entry(rule: &Rule) -> Result<String, String> {
    let select = &rule.select;
    let source = match select {
        Select::Digest(digest) => format!("{}@{digest}", rule.source),
        Select::Tags(_) => rule.source.to_string(),
    };
    let destinations = rule.destinations.iter();
    let targets: Vec<String> = destinations.flat_map(|it| targets(it, select)).collect();
    written(&source, &targets, select, rule.only.as_ref(), &rule.policy)
}

fn project(project: &Project) -> Result<String, String> {
    let (source, targets) = (project.pattern.to_string(), &project.destinations);
    let only = project.only.as_ref();
    written(&source, targets, &project.select, only, &project.policy)
}

fn written(
    source: &str,
    targets: &[String],
    select: &Select,
    only: Option<&TagFilter>,
    policy: &Policy,
) -> Result<String, String> {
    if only.is_some() {
        return Err(
            "tags that are chosen twice cannot be printed; hint: without `--tags`".to_owned(),
        );
    }
    let patterns = match select {
        Select::Digest(_) => Vec::new(),
        Select::Tags(filter) => filter.patterns(),
    };
    let mut out = format!("- source: {}\n", quoted(source)?);
    list(&mut out, "targets", targets)?;
    list(&mut out, "tags", &patterns)?;
    let Policy {
        platforms,
        lenient,
        // Only the command line asks for it, and then nothing is printed.
        any_of: _,
        missing_platform,
        attestations,
        referrers,
    } = policy;
    let platforms: Vec<String> = platforms.iter().map(ToString::to_string).collect();
    list(&mut out, "platforms", &platforms)?;
    if *lenient {
        out += "  lenient: true\n";
    }
    match missing_platform {
        MissingPlatform::Fail => {}
        MissingPlatform::Skip => out += "  missing-platform: skip\n",
    }
    match attestations {
        Attestations::Auto => {}
        Attestations::Keep => out += "  attestations: keep\n",
        Attestations::Strip => out += "  attestations: strip\n",
    }
    if *referrers == Referrers::Strip {
        out += "  referrers: strip\n";
    }
    Ok(out)
}

/// What one destination is called: more than one name if an image gets several tags there.
fn targets(destination: &RuleDestination, select: &Select) -> Vec<String> {
    let repository = &destination.repository;
    let join = |tags: &[&Tag]| {
        let tags: Vec<&str> = tags.iter().map(|tag| tag.as_str()).collect();
        format!("{repository}:{}", tags.join(","))
    };
    match &destination.tags {
        DestinationTags::Same => vec![repository.to_string()],
        DestinationTags::Named(tags) => tags.iter().map(|tag| join(&[tag])).collect(),
        // Each name has one tag for each of the source's, in their order.
        DestinationTags::Renamed(pairs) => {
            let count = select.names().len().max(1);
            let news: Vec<&Tag> = pairs.iter().map(|(_, new)| new).collect();
            news.chunks(count).map(join).collect()
        }
    }
}

fn list(out: &mut String, key: &str, items: &[String]) -> Result<(), String> {
    if items.is_empty() {
        return Ok(());
    }
    // Writing to a `String` does not fail.
    let _ = writeln!(out, "  {key}:");
    for item in items {
        let _ = writeln!(out, "    - {}", quoted(item)?);
    }
    Ok(())
}

/// As JSON has it, which is YAML too: `1.10` is a text, and `*` no alias.
fn quoted(text: &str) -> Result<String, String> {
    if text.contains("${") {
        return Err("`${` in a pattern would be read as a variable".to_owned());
    }
    let quoted = serde_json::Value::from(text).to_string();
    match quoted.len() > LONGEST {
        true => Err("a pattern is too long to be printed".to_owned()),
        false => Ok(quoted),
    }
}

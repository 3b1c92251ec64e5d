//! regsync's file: `creds`, `defaults`, and `sync`, a list of images and repositories.
//!
//! What would change what is copied, or what is kept, and is not read here, is a problem; what does not, such as when
//! `regsync server` runs, is named in one warning. Facts from regclient's `cmd/regsync/config.go` and `root.go`.

use std::time::SystemTime;

use indexmap::IndexSet;

use super::regsync_keys::{
    CREDS, CREDS_MEANING, ENTRY, MEANING, MEDIA_TYPES, REFERRERS, TOP, TUNING, is_set,
    says_something,
};
use super::{Parsed, regsync_tags};
use crate::copy::{Policy, Referrers};
use crate::credentials::{Credentials, Login, NoLogin, Prefix};
use crate::exit::nearest;
use crate::oci::{Reference, Tag};
use crate::secret::Secret;
use crate::sync::document::{Node, Position, Value};
use crate::sync::go_template;
use crate::sync::reader::ConfigReader;
use crate::sync::rule::{DestinationTags, Rule, RuleDestination};
use crate::sync::tags::{Dates, Select, TagFilter};

pub(super) fn read(reader: &mut ConfigReader, document: &Node, found: &mut Parsed) {
    let mut file = RegsyncFile {
        reader,
        ignored: IndexSet::new(),
        unknown: IndexSet::new(),
        refused: Vec::new(),
    };
    file.keys(document, TOP, &[]);
    if let Some(version) = document.get("version")
        && !matches!(&version.value, Value::Text(text) if text == "0" || text == "1")
    {
        file.reader
            .problem(version.position, "only `version: 1` is known");
    }
    for creds in file.reader.items(document.get("creds"), "`creds`") {
        file.creds(creds, found);
    }
    let defaults = document.get("defaults");
    if let Some(defaults) = defaults {
        file.keys(defaults, &REFERRERS, MEANING);
    }
    for entry in file.reader.items(document.get("sync"), "`sync`") {
        if let Some(rules) = file.entry(entry, defaults) {
            found.rules.extend(rules);
        }
    }
    for (names, what) in [
        (&file.ignored, "not read, and no matter for what is copied"),
        (&file.unknown, "not known, and not read"),
    ] {
        let names: Vec<String> = names.iter().map(|it| format!("`{it}`")).collect();
        if !names.is_empty() {
            let names = names.join(", ");
            file.reader
                .warn(document.position, format!("{what}: {names}"));
        }
    }
}

/// What is known while the file is read.
struct RegsyncFile<'r, 'c> {
    reader: &'r mut ConfigReader<'c>,
    /// Names of keys that do nothing here.
    ignored: IndexSet<String>,
    /// Names of keys that may be regsync's one day.
    unknown: IndexSet<String>,
    /// Where something is that was refused: a default counts for many entries.
    refused: Vec<Position>,
}

impl RegsyncFile<'_, '_> {
    /// Looks at the keys of a mapping; `false` if it is none. regsync ignores what it does not know, and `x-…` holds
    /// anchors.
    fn keys(&mut self, node: &Node, known: &[&str], refused: &[&str]) -> bool {
        let Value::Mapping(entries) = &node.value else {
            self.reader.problem(node.position, "expected a mapping");
            return false;
        };
        for (key, entry) in entries {
            let all = || known.iter().chain(refused).chain(TUNING).copied();
            if TUNING.contains(&key.as_str()) {
                self.ignored.insert(key.clone());
            } else if all().any(|it| it == key) || key.starts_with("x-") {
            } else if let Some(right) = nearest(key, all()) {
                let sentence = format!("unknown key `{key}`; hint: did you mean `{right}`?");
                self.reader.problem(entry.position, sentence);
            } else {
                self.unknown.insert(key.clone());
            }
        }
        true
    }

    /// A text with its templates; nothing for an empty one.
    fn text(&mut self, node: Option<&Node>, what: &str, source: Option<&str>) -> Option<String> {
        let node = node?;
        let text = match &node.value {
            Value::Text(text) => go_template::expand(self.reader, node.position, text, source)?,
            Value::Nothing => String::new(),
            Value::List(_) | Value::Mapping(_) => {
                let sentence = format!("{what} must be a text");
                self.reader.problem(node.position, sentence);
                return None;
            }
        };
        (!text.is_empty()).then_some(text)
    }

    fn required(&mut self, entry: &Node, key: &str, source: Option<&str>) -> Option<String> {
        let node = self.reader.required(entry, key)?;
        let before = self.reader.problems.count();
        let text = self.text(Some(node), &format!("`{key}`"), source);
        if text.is_none() && self.reader.problems.count() == before {
            self.reader
                .problem(node.position, format!("`{key}` is empty"));
        }
        text
    }

    fn creds(&mut self, node: &Node, found: &mut Parsed) {
        if !self.keys(node, CREDS, CREDS_MEANING) {
            return;
        }
        for key in CREDS_MEANING {
            if let Some(value) = node.get(key).filter(|it| says_something(it)) {
                let sentence = format!(
                    "`{key}` is not read; hint: `--auth FILE` and `docker login` say who signs in, and README.md which certificates are trusted"
                );
                self.reader.problem(value.position, sentence);
            }
        }
        let insecure = match self.text(node.get("tls"), "`tls`", None).as_deref() {
            None | Some("enabled") => false,
            Some("insecure" | "disabled") => true,
            Some(_) => {
                let sentence = "`tls` is `enabled`, `insecure` or `disabled`";
                self.reader.problem(node.position, sentence);
                return;
            }
        };
        let Some(registry) = self.required(node, "registry", None) else {
            return;
        };
        let before = self.reader.problems.count();
        let user = self.text(node.get("user"), "`user`", None);
        let pass = self.text(node.get("pass"), "`pass`", None);
        let credentials = match (user, pass) {
            _ if self.reader.problems.count() > before => return,
            (Some(username), Some(password)) => Credentials::Basic {
                username,
                password: Secret::new(password),
            },
            (None, None) if insecure => Credentials::Anonymous,
            (None, None) => return,
            (user, _) => {
                let mut names = ["user", "pass"].map(str::to_owned);
                if user.is_none() {
                    names.reverse();
                }
                let [set, missing] = names;
                let half = NoLogin::Half { set, missing };
                let unset = self.unset(node, &["user", "pass"]);
                self.reader.problem(node.position, format!("{half}{unset}"));
                return;
            }
        };
        let (host, path) = registry.split_once('/').unwrap_or((&registry, ""));
        let prefix = Prefix::new(host, path.trim_end_matches('/'));
        let Some(prefix) = self.reader.right(node.position, prefix) else {
            return;
        };
        let login = Login {
            credentials,
            insecure,
            origin: self.reader.origin(node.position.line),
        };
        if !found.logins.add(prefix, login) {
            let sentence = format!("there are two logins for `{registry}`");
            self.reader.problem(node.position, sentence);
        }
    }

    fn entry(&mut self, entry: &Node, defaults: Option<&Node>) -> Option<Vec<Rule>> {
        if !self.keys(entry, ENTRY, MEANING) {
            return None;
        }
        let effective = |key: &str| {
            let value = entry.get(key).filter(|it| is_set(key, it));
            value.or_else(|| defaults?.get(key))
        };
        let referrers = match REFERRERS
            .iter()
            .any(|key| effective(key).is_some_and(says_something))
        {
            true => Referrers::Keep,
            false => Referrers::Strip,
        };
        for key in MEANING {
            if let Some(value) = effective(key) {
                self.refuse(key, value, referrers);
            }
        }
        let source = self.required(entry, "source", None);
        let target = self.required(entry, "target", source.as_deref());
        let kind = self.required(entry, "type", None);
        let (source, target, kind) = (source?, target?, kind?);
        let source = self.reference(entry, "source", &source);
        let target = self.reference(entry, "target", &target);
        let (source, target) = (source?, target?);
        let rules = match kind.as_str() {
            "image" => self.image(entry, &source, &target).map(|it| vec![it]),
            "repository" => self.repository(entry, &source, &target),
            "registry" => {
                let sentence =
                    "`type: registry` is not read; hint: name the repositories one by one";
                self.reader.problem(entry.position, sentence);
                None
            }
            _ => {
                let sentence = "`type` is `image` or `repository`";
                self.reader.problem(entry.position, sentence);
                None
            }
        };
        let mut rules = rules?;
        for rule in &mut rules {
            // Here cosign's tags go with their images, where its patterns choose them like any other.
            rule.policy.referrers = match chooses_digest_tags(&rule.select) {
                true => Referrers::Keep,
                false => referrers,
            };
        }
        Some(rules)
    }

    fn refuse(&mut self, key: &str, value: &Node, referrers: Referrers) {
        let says = match key {
            "mediaTypes" => {
                let Value::List(items) = &value.value else {
                    return;
                };
                let has = |kind: &str| {
                    let mut texts = items.iter().map(|it| &it.value);
                    texts.any(|it| matches!(it, Value::Text(text) if text == kind))
                };
                !items.is_empty() && !MEDIA_TYPES.into_iter().all(has)
            }
            "referrerFilters" | "referrerSource" | "referrerTarget" => {
                referrers == Referrers::Keep && says_something(value)
            }
            _ => says_something(value),
        };
        if says && !self.refused.contains(&value.position) {
            self.refused.push(value.position);
            let sentence = format!(
                "`{key}` would change what is copied, and is not read; hint: leave it out if you can do without"
            );
            self.reader.problem(value.position, sentence);
        }
    }

    fn reference(&mut self, entry: &Node, key: &str, text: &str) -> Option<Reference> {
        let position = entry.get(key).map_or(entry.position, |it| it.position);
        if text.contains("://") {
            let sentence = format!("`{key}` is no image in a registry, and no other is read");
            self.reader.problem(position, sentence);
            return None;
        }
        let found = text.parse().map_err(|error| {
            let unset = self.unset(entry, &[key]);
            format!("{error}{unset}")
        });
        self.reader.right(position, found)
    }

    /// The variables for these keys that are not set, for messages.
    fn unset(&self, entry: &Node, keys: &[&str]) -> String {
        let nodes = keys.iter().filter_map(|key| entry.get(key));
        let texts = nodes.filter_map(|node| match &node.value {
            Value::Text(text) => Some(go_template::unset(self.reader, text)),
            _ => None,
        });
        texts.collect()
    }

    fn image(&mut self, entry: &Node, source: &Reference, target: &Reference) -> Option<Rule> {
        let tag = target.tag_or_latest();
        let is_itself = source.repository.is_same(&target.repository)
            && source.digest.is_none()
            && source.tag_or_latest() == tag;
        let rule = Rule {
            select: Select::image(source),
            ..self.rule(entry, source, target, DestinationTags::Named(vec![tag]))
        };
        self.unless(is_itself, entry, rule)
    }

    fn repository(
        &mut self,
        entry: &Node,
        source: &Reference,
        target: &Reference,
    ) -> Option<Vec<Rule>> {
        let mut filters = Vec::new();
        for set in self.reader.items(entry.get("tagSets"), "`tagSets`") {
            filters.push(regsync_tags::filter(self.reader, set)?);
        }
        if let Some(tags) = entry.get("tags") {
            let filter = regsync_tags::filter(self.reader, tags)?;
            if !filter.is_all() || filters.is_empty() {
                filters.push(filter);
            }
        }
        if filters.is_empty() {
            filters.push(TagFilter::all());
        }
        let is_itself = source.repository.is_same(&target.repository);
        let rules = filters.into_iter().map(|filter| {
            let rule = Rule {
                select: Select::Tags(filter),
                ..self.rule(entry, source, target, DestinationTags::Same)
            };
            self.unless(is_itself, entry, rule)
        });
        rules.collect()
    }

    /// Everything of the source.
    fn rule(&self, entry: &Node, from: &Reference, to: &Reference, tags: DestinationTags) -> Rule {
        Rule {
            source: from.repository.clone(),
            select: Select::Tags(TagFilter::all()),
            only: None,
            destinations: vec![RuleDestination {
                repository: to.repository.clone(),
                tags,
            }],
            policy: Policy::default(),
            origin: self.reader.origin(entry.position.line),
        }
    }

    fn unless(&mut self, is_itself: bool, entry: &Node, rule: Rule) -> Option<Rule> {
        if is_itself {
            let sentence = format!("`{}` is both source and destination", rule.source);
            self.reader.problem(entry.position, sentence);
            return None;
        }
        Some(rule)
    }
}

fn chooses_digest_tags(select: &Select) -> bool {
    let tag = format!("sha256-{:064}.sig", 0).parse::<Tag>();
    let (Select::Tags(filter), Ok(tag)) = (select, tag) else {
        return false;
    };
    let dates = Dates::at(SystemTime::UNIX_EPOCH);
    let chosen = filter.choose(std::slice::from_ref(&tag), &dates);
    chosen.is_ok_and(|chosen| chosen.contains(&tag))
}

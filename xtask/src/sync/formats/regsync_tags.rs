//! Which tags regsync's `tags` and `tagSets` choose.
//!
//! Everything becomes a pattern of our own form, so that the whole choice can be written down in it.

use crate::sync::document::{Node, Value};
use crate::sync::reader::ConfigReader;
use crate::sync::tags::TagFilter;

/// `allow` and `deny` are of the whole tag, a version must be in one of `semverRange`.
pub(super) fn filter(reader: &mut ConfigReader, node: &Node) -> Option<TagFilter> {
    if !reader.is_mapping(node, &["allow", "deny", "semverRange"]) {
        return None;
    }
    let mut filter = TagFilter::all();
    for (key, sign) in [("allow", ""), ("deny", "!")] {
        for item in reader.items(node.get(key), &format!("`{key}`")) {
            let regex = plain(reader, item, key)?;
            let added = filter.add(&format!("{sign}/^{regex}$/"));
            reader.right(item.position, added)?;
        }
    }
    let mut ranges = Vec::new();
    for item in reader.items(node.get("semverRange"), "`semverRange`") {
        let range = plain(reader, item, "semverRange")?;
        if !range.is_empty() {
            ranges.push(reader.right(item.position, constraint(&range))?);
        }
    }
    if !ranges.is_empty() {
        let added = filter.add(&format!("version:{}", ranges.join(" || ")));
        reader.right(node.position, added)?;
    }
    Some(filter)
}

/// A text as it is: in a filter, there are no templates.
fn plain(reader: &mut ConfigReader, node: &Node, key: &str) -> Option<String> {
    match &node.value {
        Value::Text(text) => Some(text.clone()),
        Value::Nothing => Some(String::new()),
        _ => {
            let sentence = format!("`{key}` must be a list of texts");
            reader.problem(node.position, sentence);
            None
        }
    }
}

/// regsync's range as one of ours. Its versions have all their numbers, and prereleases fit without being named.
fn constraint(range: &str) -> Result<String, String> {
    let mut parts = Vec::new();
    for part in range.split_whitespace() {
        let wrong = || format!("`{part}` is not a range of versions; hint: `>=1.2.0 <2.0.0`");
        let begin = part.find(|it: char| it == 'v' || it.is_ascii_digit());
        let (sign, version) = part.split_at(begin.ok_or_else(wrong)?);
        let version = version.strip_prefix('v').unwrap_or(version);
        let version = version.split('+').next().unwrap_or_default();
        let (numbers, pre) = match version.split_once('-') {
            Some((numbers, pre)) => (numbers, format!("-{pre}")),
            None => (version, String::new()),
        };
        let mut all = [0_u64; 3];
        for (at, number) in numbers.split('.').enumerate() {
            let place = all.get_mut(at).ok_or_else(wrong)?;
            *place = number.parse().map_err(|_| wrong())?;
        }
        let [major, minor, patch] = all;
        let from = format!("{major}.{minor}.{patch}{pre}");
        parts.push(match sign {
            "" | "=" => format!("={from}"),
            ">" | ">=" | "<" | "<=" => format!("{sign}{from}"),
            "~" => format!(">={from} <{major}.{}.0", minor.saturating_add(1)),
            "^" if major > 0 => format!(">={from} <{}.0.0", major.saturating_add(1)),
            "^" if minor > 0 => format!(">={from} <0.{}.0", minor.saturating_add(1)),
            "^" => format!(">={from} <0.0.{}", patch.saturating_add(1)),
            _ => return Err(wrong()),
        });
    }
    // Names a prerelease, so that others fit.
    parts.push(">0.0.0-0".to_owned());
    Ok(parts.join(" "))
}

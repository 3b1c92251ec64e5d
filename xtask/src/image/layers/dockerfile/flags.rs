//! An instruction's flags: `--chown=1:2`.

use std::collections::BTreeMap;

use super::lines::Line;

pub(super) fn flag_name(flag: &str) -> &str {
    let name = flag.trim_start_matches("--");
    name.split_once('=').map_or(name, |(name, _)| name)
}

/// The flags' values. Only `--link` may go without.
pub(super) fn flag_values(line: &Line) -> Result<BTreeMap<&str, String>, String> {
    let mut values = BTreeMap::new();
    for flag in &line.flags {
        let name = flag_name(flag);
        let value = match flag.split_once('=') {
            Some((_, value)) => value.to_owned(),
            None if name == "link" => "true".to_owned(),
            None => return Err(format!("`--{name}` without a value")),
        };
        if values.insert(name, value).is_some() {
            return Err(format!("`--{name}` is there twice"));
        }
    }
    Ok(values)
}

//! The platform, the diff ids and the date in an image's config.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use serde::Deserialize;
use serde_json::Value;

use super::digest::Digest;
use super::platform::Platform;

/// OCI image specification, "Image Configuration"; Docker's own has the same fields.
#[derive(Debug, Deserialize)]
pub struct ImageConfig {
    #[serde(flatten)]
    pub platform: Platform,
    #[serde(default)]
    rootfs: RootFs,
    /// What a container gets of it.
    config: Option<ContainerConfig>,
    #[serde(default)]
    created: Value,
}

#[derive(Debug, Deserialize)]
struct ContainerConfig {
    #[serde(rename = "Labels")]
    labels: Option<BTreeMap<String, Option<String>>>,
}

#[derive(Debug, Default, Deserialize)]
struct RootFs {
    /// Go writes an empty list as `null`.
    #[serde(default)]
    diff_ids: Option<Vec<Digest>>,
}

impl ImageConfig {
    /// From the bottom.
    pub fn diff_ids(&self) -> &[Digest] {
        self.rootfs.diff_ids.as_deref().unwrap_or_default()
    }

    /// The value of a label.
    pub fn label(&self, name: &str) -> Option<&str> {
        self.config.as_ref()?.labels.as_ref()?.get(name)?.as_deref()
    }

    /// When the image was made, if it tells. Reproducible builds put 0001, 1970 or 1980 there: no image is as old as
    /// that.
    pub fn created(&self) -> Option<SystemTime> {
        let first = SystemTime::UNIX_EPOCH + Duration::from_secs(FIRST_IMAGE);
        rfc3339(self.created.as_str()?).filter(|it| *it >= first)
    }
}

/// 2013-01-01, the year of the first.
const FIRST_IMAGE: u64 = 1_356_998_400;

/// A date from 1970 on, with `Z` or an offset.
fn rfc3339(text: &str) -> Option<SystemTime> {
    let (local, zone) = text.split_at_checked(text.rfind(['Z', 'z', '+', '-'])?)?;
    let time = humantime::parse_rfc3339(&format!("{local}Z")).ok()?;
    if zone.eq_ignore_ascii_case("z") {
        return Some(time);
    }
    let (hours, minutes) = zone[1..].split_once(':')?;
    let number = |text: &str| {
        text.parse::<u64>()
            .ok()
            .filter(|it| *it < 60 && text.len() == 2)
    };
    let offset = Duration::from_secs(number(hours)? * 3600 + number(minutes)? * 60);
    match zone.starts_with('+') {
        true => time.checked_sub(offset),
        false => time.checked_add(offset),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn created(text: &str) -> Option<String> {
        let config = serde_json::json!({"os": "linux", "architecture": "amd64", "created": text});
        let config: ImageConfig = serde_json::from_value(config).unwrap();
        let date = config.created()?;
        Some(humantime::format_rfc3339_seconds(date).to_string())
    }

    #[test]
    fn a_date_is_read_as_engines_and_builders_write_it() {
        for (text, date) in [
            ("2024-05-06T07:08:09Z", "2024-05-06T07:08:09Z"),
            ("2024-05-06T07:08:09.123456789Z", "2024-05-06T07:08:09Z"),
            ("2024-05-06T07:08:09.5+08:00", "2024-05-05T23:08:09Z"),
            ("2024-05-06T23:08:09-01:30", "2024-05-07T00:38:09Z"),
        ] {
            assert_eq!(created(text).as_deref(), Some(date), "{text}");
        }
        for none in [
            "",
            "yesterday",
            "Z",
            "2024-05-06",
            "0001-01-01T00:00:00Z",
            "1970-01-01T00:00:00Z",
            "1970-01-01T00:00:00+01:00",
            "1980-01-01T00:00:01Z",
            "2024-05-06T07:08:09+8",
            "2024-05-06T07:08:09+é8:00",
        ] {
            assert_eq!(created(none), None, "{none}");
        }
        let other: ImageConfig =
            serde_json::from_str(r#"{"os": "linux", "architecture": "amd64", "created": 7}"#)
                .unwrap();
        assert_eq!(other.created(), None);
    }
}

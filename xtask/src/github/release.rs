//! The two nouns of the API, as far as a release needs them. Bytes count as the same only by their digest.

use serde::Deserialize;
use serde_json::{Value, json};

use super::plan::{Asset, Plan};

/// <https://docs.github.com/en/rest/releases/releases>
#[derive(Debug, Deserialize)]
pub(super) struct Release {
    pub id: u64,
    pub html_url: String,
    /// A template: `…/assets{?name,label}`.
    pub upload_url: String,
    pub tag_name: String,
    pub name: Option<String>,
    pub body: Option<String>,
    pub draft: bool,
    pub prerelease: bool,
}

/// <https://docs.github.com/en/rest/releases/assets>
#[derive(Debug, Deserialize)]
pub(super) struct StoredAsset {
    pub id: u64,
    pub name: String,
    /// `uploaded`, or `starter` where an upload broke off.
    state: String,
    size: u64,
    /// `sha256:…`; older servers, and assets from before June 2025, have none.
    digest: Option<String>,
}

impl Release {
    /// Whether it is published as planned.
    pub fn matches(&self, plan: &Plan) -> bool {
        let lines = |text: &str| text.replace("\r\n", "\n").trim_end().to_owned();
        !self.draft
            && self.prerelease == plan.prerelease
            && self.name.as_deref() == Some(&plan.name)
            && lines(self.body.as_deref().unwrap_or_default()) == lines(&plan.notes)
    }
}

impl StoredAsset {
    /// Whether it is the asset, by its digest: a rebuilt package may have the same size.
    pub fn matches(&self, asset: &Asset) -> bool {
        self.may_match(asset) && self.digest.is_some() && asset.digest.is_some()
    }

    /// Whether it may be the asset, by what GitHub tells: enough for what was just sent.
    pub fn may_match(&self, asset: &Asset) -> bool {
        let digest = match (&self.digest, &asset.digest) {
            (Some(stored), Some(digest)) => stored == digest.as_str(),
            _ => true,
        };
        self.state == "uploaded" && self.size == asset.size && digest
    }
}

/// The body of the request that makes the release, as a draft.
pub(super) fn draft(plan: &Plan) -> Value {
    let mut body = json!({
        "tag_name": plan.tag,
        "name": plan.name,
        "body": plan.notes,
        "prerelease": plan.prerelease,
        "draft": true,
    });
    if let Some(target) = &plan.target_commitish {
        body["target_commitish"] = json!(target);
    }
    body
}

/// The body of the request that publishes the release.
pub(super) fn published(plan: &Plan) -> Value {
    let mut body = draft(plan);
    body["draft"] = json!(false);
    // `legacy` compares versions and dates: a patch of an old version does not become the latest release.
    body["make_latest"] = json!(if plan.prerelease { "false" } else { "legacy" });
    body
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asset() -> Asset {
        Asset {
            path: "a.zip".into(),
            name: "a.zip".to_owned(),
            size: 5,
            digest: Some(format!("sha256:{}", "ab".repeat(32)).parse().unwrap()),
        }
    }

    fn stored(state: &str, size: u64, digest: Option<&str>) -> StoredAsset {
        StoredAsset {
            id: 1,
            name: "a.zip".to_owned(),
            state: state.to_owned(),
            size,
            digest: digest.map(|hex| format!("sha256:{}", hex.repeat(32))),
        }
    }

    #[test]
    fn only_a_complete_asset_with_the_same_digest_is_the_asset() {
        assert!(stored("uploaded", 5, Some("ab")).matches(&asset()));
        assert!(!stored("uploaded", 5, Some("cd")).matches(&asset()));
        assert!(!stored("uploaded", 6, Some("ab")).matches(&asset()));
        assert!(!stored("starter", 5, Some("ab")).matches(&asset()));
    }

    #[test]
    fn the_same_size_without_a_digest_is_not_enough() {
        assert!(!stored("uploaded", 5, None).matches(&asset()));
        let unknown = Asset {
            digest: None,
            ..asset()
        };
        assert!(!stored("uploaded", 5, Some("ab")).matches(&unknown));
    }

    #[test]
    fn what_was_just_sent_is_believed_without_a_digest_but_not_with_another() {
        assert!(stored("uploaded", 5, None).may_match(&asset()));
        assert!(!stored("uploaded", 4, None).may_match(&asset()));
        assert!(!stored("uploaded", 5, Some("cd")).may_match(&asset()));
    }
}

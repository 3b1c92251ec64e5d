//! From a plan to a published release. When it is unclear whether GitHub did what failed, GitHub is asked first, so
//! that nothing is made twice.

use futures_util::FutureExt as _;
use reqwest::Method;
use serde_json::Value;

use super::client::{Github, Progress, announced};
use super::error::Error;
use super::plan::{Asset, Plan, Published};
use super::release::{Draft, Release, StoredAsset, described};
use crate::http;

/// What happened to an asset.
enum Outcome {
    Uploaded,
    Skipped,
    Replaced,
}

impl Github {
    /// Makes GitHub's release of the plan's tag what the plan says: creates it as a draft or takes the one there is,
    /// brings the assets, and publishes it last. Assets that the plan does not name are left alone. A release that is
    /// published already stays so meanwhile.
    ///
    /// # Errors
    /// [`Error::Unfinished`] when a draft is left, around the reason; otherwise the reason itself.
    pub async fn publish(
        &self,
        plan: &Plan,
        progress: &(dyn Fn(super::Event<'_>) + Send + Sync),
    ) -> Result<Published, Error> {
        plan.check()?;
        let found = self.find(&plan.tag, progress).await?;
        let created = found.is_none();
        let release = match found {
            Some(release) => release,
            None => self.create(plan, progress).await?,
        };
        let draft = release.draft;
        let finished = self.finish(plan, release, created, progress).await;
        finished.map_err(|source| match draft {
            true => Error::Unfinished {
                tag: plan.tag.clone(),
                source: Box::new(source),
            },
            false => source,
        })
    }

    /// The release of a tag, or its draft, which GitHub does not find by the tag.
    async fn find(&self, tag: &str, progress: Progress<'_>) -> Result<Option<Release>, Error> {
        let url = self.url(&["releases", "tags", tag]);
        let what = "look for the release";
        match self
            .call(what, Method::GET, &url, &Value::Null, progress)
            .await
        {
            Ok(release) => return Ok(Some(release)),
            Err(Error::NotFound { .. }) => {}
            Err(error) => return Err(error),
        }
        let url = self.url(&["releases"]);
        let releases: Vec<Release> = self.list("list the releases", url, progress).await?;
        Ok(releases.into_iter().find(|release| release.tag_name == tag))
    }

    async fn create(&self, plan: &Plan, progress: Progress<'_>) -> Result<Release, Error> {
        let url = &self.url(&["releases"]);
        let body = &described(plan, Draft::Stays);
        let what = "create the release";
        again(progress, |failures| async move {
            // The request that failed may have arrived.
            if failures > 0
                && let Some(release) = self.find(&plan.tag, progress).await?
            {
                return Ok(Ok(release));
            }
            Ok(self.call(what, Method::POST, url, body, progress).await)
        })
        .await
    }

    async fn finish(
        &self,
        plan: &Plan,
        release: Release,
        created: bool,
        progress: Progress<'_>,
    ) -> Result<Published, Error> {
        let mut published = Published {
            url: release.html_url.clone(),
            created,
            uploaded: Vec::new(),
            skipped: Vec::new(),
            replaced: Vec::new(),
        };
        let mut stored = self.stored(&release, progress).await?;
        for asset in &plan.assets {
            let there = take_named(&mut stored, asset);
            let list = match self.put_asset(&release, asset, there, progress).await? {
                Outcome::Uploaded => &mut published.uploaded,
                Outcome::Skipped => &mut published.skipped,
                Outcome::Replaced => &mut published.replaced,
            };
            list.push(asset.name.clone());
        }
        if !release.matches(plan) {
            let what = "publish the release";
            let url = self.url(&["releases", &release.id.to_string()]);
            let body = described(plan, Draft::Ends);
            let release: Release = self
                .call(what, Method::PATCH, &url, &body, progress)
                .await?;
            // A draft's page has another address.
            published.url = release.html_url;
        }
        Ok(published)
    }

    async fn stored(
        &self,
        release: &Release,
        progress: Progress<'_>,
    ) -> Result<Vec<StoredAsset>, Error> {
        let url = self.url(&["releases", &release.id.to_string(), "assets"]);
        self.list("list the assets", url, progress).await
    }

    /// Uploads the asset unless the release holds it; `there` is what it holds under that name.
    async fn put_asset(
        &self,
        release: &Release,
        asset: &Asset,
        mut there: Option<StoredAsset>,
        progress: Progress<'_>,
    ) -> Result<Outcome, Error> {
        if there.as_ref().is_some_and(|stored| stored.matches(asset)) {
            return Ok(Outcome::Skipped);
        }
        let outcome = match there {
            Some(_) => Outcome::Replaced,
            None => Outcome::Uploaded,
        };
        again(progress, |failures| {
            let there = there.take();
            async move {
                let there = match failures {
                    0 => there,
                    _ => take_named(&mut self.stored(release, progress).await?, asset),
                };
                if let Some(stored) = there {
                    if stored.matches(asset) {
                        // The upload that failed had arrived.
                        return Ok(Ok(()));
                    }
                    let url = self.url(&["releases", "assets", &stored.id.to_string()]);
                    self.delete("delete an asset", &url, progress).await?;
                }
                Ok(match self.upload(release, asset, progress).await {
                    Ok(stored) if !stored.may_match(asset) => Err(Error::Unexpected {
                        what: "upload an asset",
                        reason: format!("it holds other bytes than `{}`", asset.name),
                    }),
                    uploaded => uploaded.map(drop),
                })
            }
        })
        .await?;
        Ok(outcome)
    }
}

/// Repeats `attempt` while its inner error may pass. An outer error, of a request that was tried again already, is
/// final.
async fn again<T, F>(progress: Progress<'_>, mut attempt: impl FnMut(u32) -> F) -> Result<T, Error>
where
    F: Future<Output = Result<Result<T, Error>, Error>>,
{
    let policy = |error: &Error, failures| {
        let wait = error.wait(failures)?;
        Some(announced(error, wait, progress))
    };
    let attempt = |failures| {
        attempt(failures).map(|tried| match tried {
            Ok(Ok(done)) => Ok(Ok(done)),
            Ok(Err(error)) => Err(error),
            Err(error) => Ok(Err(error)),
        })
    };
    http::retry(policy, attempt).await?
}

/// The stored asset of that name.
fn take_named(stored: &mut Vec<StoredAsset>, asset: &Asset) -> Option<StoredAsset> {
    let at = stored.iter().position(|stored| stored.name == asset.name)?;
    Some(stored.swap_remove(at))
}

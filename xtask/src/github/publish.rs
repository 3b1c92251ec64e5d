//! From a plan to a published release. When it is unclear whether GitHub did what failed, GitHub is asked first, so
//! that nothing is made twice.

use futures_util::FutureExt as _;
use reqwest::Method;

use super::client::{Github, Publisher};
use super::error::Error;
use super::plan::{Asset, Plan, Progress, Published};
use super::release::{self, Release, StoredAsset};
use crate::http;

impl Github {
    /// Makes GitHub's release of the plan's tag what the plan says: creates it as a draft or takes the one there is,
    /// brings the assets, and publishes it last. Assets that the plan does not name are left alone. A release that is
    /// published already stays so meanwhile.
    ///
    /// # Errors
    /// [`Error::Unfinished`] when a draft is left, around the reason; otherwise the reason itself.
    pub async fn publish(&self, plan: &Plan, progress: Progress<'_>) -> Result<Published, Error> {
        plan.check()?;
        let publisher = Publisher {
            github: self,
            progress,
        };
        let found = publisher.find(&plan.tag).await?;
        let created = found.is_none();
        let release = match found {
            Some(release) => release,
            None => publisher.create(plan).await?,
        };
        let finished = publisher.finish(plan, &release, created).await;
        finished.map_err(|source| match release.draft {
            true => Error::Unfinished {
                tag: plan.tag.clone(),
                source: Box::new(source),
            },
            false => source,
        })
    }
}

impl Publisher<'_> {
    /// The release of a tag, or its draft, which GitHub does not find by the tag.
    async fn find(&self, tag: &str) -> Result<Option<Release>, Error> {
        let request = self.github.call(Method::GET, &["releases", "tags", tag]);
        match self.repeat("look for the release", request).await {
            Ok(reply) => return reply.json().map(Some),
            Err(Error::NotFound { .. }) => {}
            Err(error) => return Err(error),
        }
        let releases: Vec<Release> = self.list("list the releases", &["releases"]).await?;
        Ok(releases.into_iter().find(|release| release.tag_name == tag))
    }

    async fn create(&self, plan: &Plan) -> Result<Release, Error> {
        self.again(|failures| async move {
            // The request that failed may have arrived.
            if failures > 0
                && let Some(release) = self.find(&plan.tag).await?
            {
                return Ok(Ok(release));
            }
            let request = self.github.call(Method::POST, &["releases"]);
            let request = request.json(&release::draft(plan));
            let reply = self.github.send("create the release", request).await;
            Ok(reply.and_then(|reply| reply.json()))
        })
        .await
    }

    async fn finish(
        &self,
        plan: &Plan,
        release: &Release,
        created: bool,
    ) -> Result<Published, Error> {
        let mut published = Published {
            url: release.html_url.clone(),
            created,
            ..Published::default()
        };
        let stored = self.stored(release).await?;
        for asset in &plan.assets {
            let there = named(&stored, asset);
            let list = match there {
                Some(stored) if stored.matches(asset) => &mut published.skipped,
                Some(_) => &mut published.replaced,
                None => &mut published.uploaded,
            };
            list.push(asset.name.clone());
            self.put_asset(release, asset, there).await?;
        }
        if !release.matches(plan) {
            let at = ["releases", &release.id.to_string()];
            let request = self.github.call(Method::PATCH, &at);
            let request = request.json(&release::published(plan));
            let release: Release = self.repeat("publish the release", request).await?.json()?;
            // A draft's page has another address.
            published.url = release.html_url;
        }
        Ok(published)
    }

    async fn stored(&self, release: &Release) -> Result<Vec<StoredAsset>, Error> {
        let at = ["releases", &release.id.to_string(), "assets"];
        self.list("list the assets", &at).await
    }

    /// Uploads the asset unless the release holds it; `there` is what it holds under that name.
    async fn put_asset(
        &self,
        release: &Release,
        asset: &Asset,
        there: Option<&StoredAsset>,
    ) -> Result<(), Error> {
        self.again(|failures| async move {
            let stored;
            let there = match failures {
                0 => there,
                _ => {
                    // The upload that failed may have arrived.
                    stored = self.stored(release).await?;
                    named(&stored, asset)
                }
            };
            if let Some(stored) = there {
                if stored.matches(asset) {
                    return Ok(Ok(()));
                }
                self.delete(stored).await?;
            }
            let uploaded = self.github.upload(release, asset, self.progress).await;
            Ok(uploaded.and_then(|stored| match stored.may_match(asset) {
                true => Ok(()),
                false => Err(Error::Unexpected {
                    what: "upload an asset",
                    reason: format!("it holds other bytes than `{}`", asset.name),
                }),
            }))
        })
        .await
    }

    /// Deletes an asset; 404 is success.
    async fn delete(&self, asset: &StoredAsset) -> Result<(), Error> {
        let at = ["releases", "assets", &asset.id.to_string()];
        let request = self.github.call(Method::DELETE, &at);
        match self.repeat("delete an asset", request).await {
            Ok(_) | Err(Error::NotFound { .. }) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Repeats `attempt` while its inner error may pass. An outer error, of a request that was tried again already, is
    /// final.
    async fn again<T, F>(&self, mut attempt: impl FnMut(u32) -> F) -> Result<T, Error>
    where
        F: Future<Output = Result<Result<T, Error>, Error>>,
    {
        let attempt = |failures| {
            attempt(failures).map(|tried| match tried {
                Ok(Ok(done)) => Ok(Ok(done)),
                Ok(Err(error)) => Err(error),
                Err(error) => Ok(Err(error)),
            })
        };
        http::retry(|error, failures| self.wait(error, failures), attempt).await?
    }
}

fn named<'s>(stored: &'s [StoredAsset], asset: &Asset) -> Option<&'s StoredAsset> {
    stored.iter().find(|stored| stored.name == asset.name)
}

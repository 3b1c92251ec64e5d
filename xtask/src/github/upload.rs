//! One asset on its way, streamed from the file.

use std::time::Duration;

use bytes::Bytes;
use futures_util::stream;
use reqwest::header::{CONTENT_LENGTH, CONTENT_TYPE};
use reqwest::{Body, Method};
use tokio::fs::File;
use tokio::io::AsyncReadExt as _;
use url::Url;

use super::client::Github;
use super::error::Error;
use super::plan::{Asset, Event, Progress};
use super::release::{Release, StoredAsset};
use super::response::failed;
use crate::http::{self, Sent};

const WHAT: &str = "upload an asset";

/// How long nothing may move; also how long GitHub may take once it has everything.
const STALL: Duration = Duration::from_secs(120);

/// How often progress is reported.
const TICK: Duration = Duration::from_millis(200);

/// Bytes read from the file at a time.
const PIECE: usize = 128 << 10;

impl Github {
    /// Sends an asset once. After an error it may be there nevertheless, whole or as a `starter`.
    pub(super) async fn upload(
        &self,
        release: &Release,
        asset: &Asset,
        progress: Progress<'_>,
    ) -> Result<StoredAsset, Error> {
        let file = File::open(&asset.path).await.map_err(|source| Error::Io {
            path: asset.path.clone(),
            source,
        })?;
        let sent = Sent::default();
        let request = self
            .request(Method::POST, self.upload_url(release, asset)?)
            .header(CONTENT_TYPE, "application/octet-stream")
            .header(CONTENT_LENGTH, asset.size)
            .body(body(file, asset.size, sent.clone()));
        let mut sending = std::pin::pin!(http::send(request, STALL, &sent));
        let mut tick = tokio::time::interval(TICK);
        let response = loop {
            tokio::select! {
                response = &mut sending => break response.map_err(|error| failed(WHAT, error))?,
                _ = tick.tick() => progress(asset.sent(sent.bytes())),
            }
        };
        let reply = self.read(WHAT, response).await?;
        progress(asset.sent(asset.size));
        reply.json()
    }

    /// The address that the API gives for this release, which is on another host on github.com.
    fn upload_url(&self, release: &Release, asset: &Asset) -> Result<Url, Error> {
        let template = &release.upload_url;
        let plain = template
            .split_once('{')
            .map_or(template.as_str(), |(url, _)| url);
        let mut url = Url::parse(plain)
            .ok()
            .filter(|url| self.trusts(url))
            .ok_or_else(|| Error::Unexpected {
                what: WHAT,
                reason: "the upload address cannot be trusted".to_owned(),
            })?;
        url.query_pairs_mut().append_pair("name", &asset.name);
        Ok(url)
    }
}

impl Asset {
    fn sent(&self, sent: u64) -> Event<'_> {
        Event::Sent {
            asset: &self.name,
            sent,
            size: self.size,
        }
    }
}

/// The first `size` bytes of the file; counts what the connection has taken.
fn body(file: File, size: u64, sent: Sent) -> Body {
    let start = (file.take(size), sent);
    Body::wrap_stream(stream::try_unfold(start, |(mut file, sent)| async move {
        let mut piece = vec![0; PIECE];
        let read = file.read(&mut piece).await?;
        piece.truncate(read);
        sent.add(read);
        let next = (read > 0).then(|| (Bytes::from(piece), (file, sent)));
        std::io::Result::Ok(next)
    }))
}

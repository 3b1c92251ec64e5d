//! Where an image is, how it is read, and what is reported meanwhile.

use std::collections::HashMap;
use std::io;
use std::path::PathBuf;
use std::pin::Pin;

use bytes::Bytes;
use futures_util::Stream;

use super::blob::Blob;
use super::compression::Compression;
use crate::oci::{Descriptor, Digest, TagOrDigest};

/// Where an image is.
pub enum Input {
    /// An archive as a stream, such as an engine's export; its errors become [`Error::Source`](super::Error::Source).
    Stream(ByteStream),
    /// A `docker-archive` or `oci-archive`, which may be compressed as a whole.
    File(PathBuf),
    /// An OCI image layout.
    Directory(PathBuf),
}

pub type ByteStream = Pin<Box<dyn Stream<Item = io::Result<Bytes>> + Send>>;

/// How an image is read.
#[derive(Clone, Debug, Default)]
pub struct Options {
    pub compression: Compression,
    /// Threads that compress; one for each core if `None`. No digest depends on it.
    pub workers: Option<usize>,
    /// Layers by diff id that the destinations have, as the descriptor says: they are verified, but neither compressed
    /// nor handed out, and the manifest lists the descriptor. Engines up to 24 name no layer by its digest: none of
    /// their exports is reused.
    pub reusable: HashMap<Digest, Descriptor>,
    /// Layers that are named by their digest stay as they are also where they are not compressed, so that every
    /// manifest keeps its bytes.
    pub keeps_layers: bool,
    /// The one that is meant of the images that a layout or an OCI archive lists.
    pub chosen: Option<TagOrDigest>,
    /// Images of different names are one image for several platforms: an engine needs a name for each. Otherwise only
    /// images of one name are, or without any.
    pub joins_names: bool,
}

/// What happens while an image is read.
#[expect(
    clippy::large_enum_variant,
    reason = "events are handled one at a time and never stored"
)]
#[derive(Debug)]
pub enum Event {
    /// Bytes of the archive's content, in addition to those of earlier events.
    BytesRead(u64),
    /// A layer or config is ready. It may come twice, and may be one that no manifest lists.
    Ready(Blob),
}

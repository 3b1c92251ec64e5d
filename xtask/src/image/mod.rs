//! Images that are not in a registry: an engine's export, `docker-archive`, `oci-archive`, and an OCI layout directory.
//!
//! An image is read once, from front to back; every layer is verified and compressed on all cores while it streams, and
//! handed out as soon as it is whole; the manifests come last. The same input gives the same digests on any machine,
//! compressed layers keep their bytes, and memory is bounded whatever the image's size. This room does not know who
//! delivers the bytes, nor where the blobs go.

mod assemble;
mod blob;
mod choice;
mod compression;
mod config;
mod contents;
pub mod context;
mod diff_id;
mod directory;
mod encoding;
mod entry_reader;
mod error;
mod glob;
mod image_files;
mod layer_pipeline;
mod layer_sink;
pub mod layers;
mod location;
mod options;
mod read;
mod rewrite;
mod stream;
#[cfg(test)]
mod tests;

pub use blob::{Blob, Content};
pub use compression::{Compression, CompressionError};
pub use error::Error;
pub use image_files::{ImageFile, ImageFiles};
pub use location::Location;
pub use options::{ByteStream, Event, Input, Options};
pub use read::read;
pub use rewrite::oci_layer;

//! A layer or config that is ready to be uploaded.

use std::fs::File;
use std::sync::Arc;

use bytes::Bytes;

use crate::oci::Descriptor;

/// Verified content with its descriptor.
#[derive(Clone, Debug)]
pub struct Blob {
    pub descriptor: Descriptor,
    pub content: Content,
}

/// The bytes of a blob. Clones share them.
#[derive(Clone, Debug)]
pub enum Content {
    /// A temporary file without a name, deleted with its last clone. Clones share the cursor: use `read_at`.
    File(Arc<File>),
    Memory(Bytes),
}

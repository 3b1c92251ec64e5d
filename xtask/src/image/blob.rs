//! A layer or config that is ready to be uploaded.
//!
//! It refuses to know where it goes. Invariant: the content has the descriptor's digest and size.

use std::fs::File;
use std::sync::Arc;

use bytes::Bytes;

use crate::oci::Descriptor;

/// Content with the descriptor that a manifest lists it by.
#[derive(Clone, Debug)]
pub struct Blob {
    pub descriptor: Descriptor,
    pub content: Content,
}

/// Where a blob's bytes are. Clones share them.
#[derive(Clone, Debug)]
pub enum Content {
    /// A temporary file without a name, gone with its last holder; read it by position (`read_at`), because holders
    /// share its cursor.
    File(Arc<File>),
    Memory(Bytes),
}

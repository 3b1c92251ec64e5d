//! The tar headers of layers: POSIX's `ustar`, with long names as its 2001 version has them (PAX).

use std::io::Write as _;

use tar::{EntryType, Header};

use super::tree::{Node, NodeKind};
use crate::image::context::DATE;

/// Tar's unit.
pub(super) const BLOCK: usize = 512;

/// Names up to this length stand in the header itself.
const MAX_NAME: usize = 100;

/// The header of `node`, and before it the extended one if it needs it.
pub(super) fn header(path: &str, node: &Node) -> Vec<u8> {
    let (kind, size, target) = match &node.kind {
        NodeKind::Directory | NodeKind::Device => (EntryType::Directory, 0, ""),
        NodeKind::File(content) => (EntryType::Regular, content.size, ""),
        NodeKind::Link(target) => (EntryType::Symlink, 0, target.as_str()),
    };
    let path = match kind {
        EntryType::Directory => format!("{path}/"),
        _ => path.to_owned(),
    };
    let mut records = Vec::new();
    let (name, link) = (fitting(&path), fitting(target));
    if name.is_none() {
        record(&mut records, "path", &path);
    }
    if link.is_none() {
        record(&mut records, "linkpath", target);
    }
    let mut bytes = Vec::new();
    if !records.is_empty() {
        let extended = fields(EntryType::XHeader, records.len() as u64, "PaxHeader", "");
        bytes.extend_from_slice(extended.as_bytes());
        bytes.append(&mut records);
        bytes.resize(bytes.len().next_multiple_of(BLOCK), 0);
    }
    let mut header = fields(kind, size, name.unwrap_or("long"), link.unwrap_or(""));
    header.set_mode(node.mode);
    header.set_uid(node.uid);
    header.set_gid(node.gid);
    header.set_cksum();
    bytes.extend_from_slice(header.as_bytes());
    bytes
}

/// The name, if a header can hold it.
fn fitting(name: &str) -> Option<&str> {
    (name.len() <= MAX_NAME && name.is_ascii()).then_some(name)
}

fn fields(kind: EntryType, size: u64, name: &str, link: &str) -> Header {
    let mut header = Header::new_ustar();
    header.set_entry_type(kind);
    header.set_size(size);
    header.set_mtime(DATE);
    header.set_mode(0o644);
    header.set_uid(0);
    header.set_gid(0);
    let fields = header.as_old_mut();
    fields.name[..name.len()].copy_from_slice(name.as_bytes());
    fields.linkname[..link.len()].copy_from_slice(link.as_bytes());
    header.set_cksum();
    header
}

/// `25 path=…`: the length is that of the whole record, its own digits included.
fn record(records: &mut Vec<u8>, key: &str, value: &str) {
    let rest = key.len() + value.len() + " =\n".len();
    let mut length = rest;
    while length != rest + length.to_string().len() {
        length = rest + length.to_string().len();
    }
    // Writing to memory cannot fail.
    let _ = writeln!(records, "{length} {key}={value}");
}

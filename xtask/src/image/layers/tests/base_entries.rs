//! Base layers with what stands in front of an entry: long names, PAX records, extended attributes.

use super::*;
use crate::image::layers::Contents;
use crate::image::layers::tree::{Node, NodeKind};

fn header(kind: u8, size: usize) -> tar::Header {
    let mut header = tar::Header::new_gnu();
    header.set_entry_type(tar::EntryType::new(kind));
    header.set_mode(0o755);
    header.set_size(size as u64);
    header.set_uid(0);
    header.set_gid(0);
    header
}

/// An archive of raw entries: kind, name, content.
fn raw(entries: &[(u8, &str, &[u8])]) -> Vec<u8> {
    let mut archive = tar::Builder::new(Vec::new());
    for (kind, name, content) in entries {
        let mut header = header(*kind, content.len());
        header.set_path(name).unwrap();
        header.set_cksum();
        archive.append(&header, *content).unwrap();
    }
    archive.into_inner().unwrap()
}

/// `LENGTH KEY=VALUE\n`; the length counts its own digits.
fn record(key: &str, value: &str) -> Vec<u8> {
    let rest = format!(" {key}={value}\n");
    let mut length = rest.len() + 1;
    while length.to_string().len() + rest.len() != length {
        length += 1;
    }
    format!("{length}{rest}").into_bytes()
}

fn applied(layer: &[u8]) -> Result<FileTree, String> {
    let mut tree = FileTree::default();
    let done = tree.apply(layer, Contents::Kept);
    done.map(|()| tree).map_err(|error| error.to_string())
}

#[test]
fn records_name_files_and_owners_and_what_is_for_all_files_is_passed_over() {
    let long = "n".repeat(300);
    let records = [
        record("path", &format!("d/{long}")),
        record("uid", "3000000"),
    ]
    .concat();
    let layer = raw(&[
        (b'g', "pax_global_header", &record("comment", "a commit")),
        (b'x', "PaxHeaders/f", &records),
        (b'0', "d/short", b"1"),
        (b'L', "././@LongLink", format!("e/{long}\0").as_bytes()),
        (b'0', "e/short", b"2"),
        (b'0', "last", b"3"),
    ]);
    let tree = applied(&layer).unwrap();
    let paths: Vec<&str> = tree.below("").map(|(path, _)| path.as_str()).collect();
    assert_eq!(
        paths,
        ["d", &format!("d/{long}"), "e", &format!("e/{long}"), "last"]
    );
    assert_eq!(tree.get(&format!("d/{long}")).unwrap().uid, 3_000_000);
    assert_eq!(tree.get("last").unwrap().uid, 0);
}

#[test]
fn records_have_a_largest_size_and_sparse_files_are_refused() {
    let large = vec![b'A'; (1 << 20) + 1];
    for kind in [b'L', b'K', b'x'] {
        let error = applied(&raw(&[(kind, "r", &large), (b'0', "f", b"")])).unwrap_err();
        assert!(
            error.contains("1048577 bytes, more than 1048576"),
            "{error}"
        );
    }
    let sparse = record("GNU.sparse.major", "1");
    let error = applied(&raw(&[(b'x', "r", &sparse), (b'0', "f", b"x")])).unwrap_err();
    assert!(
        error.starts_with("`f` is stored as a sparse file"),
        "{error}"
    );
    for damaged in [&b"12"[..], b"99 a=b\n", b"7 a=b\nx", b"x a=b\n", b"5 ab\n"] {
        let error = applied(&raw(&[(b'x', "r", damaged), (b'0', "f", b"x")])).unwrap_err();
        assert!(error.contains("PAX record"), "{error}");
    }
}

#[test]
fn a_file_with_attributes_is_never_the_same_as_one_without() {
    let capability = record("SCHILY.xattr.security.capability", "\u{1}\n\u{2}");
    let layer = raw(&[(b'x', "r", &capability), (b'0', "ping", b"p")]);
    let mut tree = applied(&layer).unwrap();
    let ping = tree.get("ping").unwrap().clone();
    assert!(ping.has_attributes);
    // Also after it was remembered.
    let mut file = Vec::new();
    tree.write(&mut file).unwrap();
    let remembered = FileTree::read(&*file).unwrap();
    assert!(remembered.get("ping").unwrap().has_attributes);
    let NodeKind::File(content) = &ping.kind else {
        panic!("{ping:?}");
    };
    let copy = Node {
        kind: NodeKind::File(content.clone()),
        has_attributes: false,
        ..ping
    };
    assert!(tree.put("ping", copy.clone()).unwrap());
    assert!(!tree.put("ping", copy).unwrap());
}

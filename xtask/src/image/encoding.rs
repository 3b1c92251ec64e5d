//! Detects a layer's encoding by its first bytes: engines, skopeo, bazel and nix disagree on names and media types.

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Encoding {
    /// An uncompressed layer.
    Tar,
    Gzip,
    Zstd,
    /// A config, a manifest, or content of an artifact.
    Other,
}

/// A block of a tar archive, in bytes.
const BLOCK: usize = 512;

impl Encoding {
    /// The encoding of a layer by its media type.
    pub fn of_media_type(media_type: &str) -> Encoding {
        match media_type.rsplit(['.', '+']).next() {
            Some("gzip") => Encoding::Gzip,
            Some("zstd") => Encoding::Zstd,
            _ => Encoding::Tar,
        }
    }

    /// The encoding of content that begins with `head`: at least 512 bytes, or all there are.
    pub fn of(head: &[u8]) -> Encoding {
        match head {
            [0x1f, 0x8b, ..] => Encoding::Gzip,
            [0x28, 0xb5, 0x2f, 0xfd, ..] => Encoding::Zstd,
            // zstd's skippable frame, which zstd:chunked may begin with.
            [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..] => Encoding::Zstd,
            _ if head.get(..BLOCK).is_some_and(begins_tar) => Encoding::Tar,
            _ => Encoding::Other,
        }
    }

    /// Whether a file that begins with `head`, 512 bytes or all there are, is an archive to `ADD`.
    pub fn is_packed(head: &[u8]) -> bool {
        let is_empty = head.iter().all(|byte| *byte == 0);
        let is_archive = Encoding::of(head) != Encoding::Other;
        is_archive && !is_empty || head.starts_with(b"BZh") || head.starts_with(b"\xfd7zXZ\0")
    }
}

/// Whether a block is a header with a correct checksum, or the first of the two empty blocks that end an archive.
fn begins_tar(block: &[u8]) -> bool {
    const SUM: std::ops::Range<usize> = 148..156;
    if block.iter().all(|byte| *byte == 0) {
        return true;
    }
    let stated = tar::Header::from_byte_slice(block).cksum().ok();
    // The checksum's own bytes count as spaces.
    let rest = block[..SUM.start].iter().chain(&block[SUM.end..]);
    stated == Some(rest.map(|byte| u32::from(*byte)).sum::<u32>() + 8 * 32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_layer_is_recognised_whatever_its_first_file_is_called() {
        for name in ["etc/passwd", "{\"config\":1}", "\u{1f}x"] {
            let mut archive = tar::Builder::new(Vec::new());
            let mut header = tar::Header::new_gnu();
            header.set_size(0);
            archive
                .append_data(&mut header, name, std::io::empty())
                .unwrap();
            assert_eq!(Encoding::of(&archive.into_inner().unwrap()), Encoding::Tar);
        }
        assert_eq!(Encoding::of(&[0; 1024]), Encoding::Tar);
    }

    #[test]
    fn documents_are_not_layers() {
        let json = format!("{{{}}}", " ".repeat(2000));
        for content in [json.as_bytes(), b"", b"1.0", b"{}", &[0; 511], &[b' '; 512]] {
            assert_eq!(Encoding::of(content), Encoding::Other);
        }
    }

    #[test]
    fn compressed_layers_are_distinguished() {
        assert_eq!(Encoding::of(&[0x1f, 0x8b, 8, 0]), Encoding::Gzip);
        assert_eq!(Encoding::of(&[0x28, 0xb5, 0x2f, 0xfd]), Encoding::Zstd);
        assert_eq!(
            Encoding::of(&[0x50, 0x2a, 0x4d, 0x18, 4, 0, 0, 0]),
            Encoding::Zstd
        );
    }
}

//! The build context as a stream of tar.
//!
//! The same files give the same bytes: names are sorted, all have one date, owners are root; modes and symbolic links
//! are kept.

use std::fs::File;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use bytes::Bytes;
use futures_util::Stream;
use tar::{Builder, EntryType, Header};
use tokio::sync::oneshot;

use super::Error;
use super::tar_stream::tar_stream;
use crate::image::context::{Context, ContextError, DATE, Entry, Kind};

/// Streams the directory `context`. `dockerfile` is the path of the Dockerfile in it.
///
/// If something cannot be read, the stream ends with an error, and the channel has all of it.
pub(super) fn stream(
    context: PathBuf,
    dockerfile: String,
) -> (
    impl Stream<Item = io::Result<Bytes>> + Send + 'static,
    oneshot::Receiver<Error>,
) {
    tar_stream(move |out| pack(&context, &dockerfile, out))
}

/// Writes the archive of `context` to `out`.
fn pack(context: &Path, dockerfile: &str, out: impl Write) -> Result<(), Error> {
    let entries = Context::read_for_engine(context, dockerfile)?.entries;
    let failed = |path: &Path, reason| ContextError {
        path: path.to_owned(),
        reason,
    };
    let mut archive = Builder::new(out);
    for entry in &entries {
        append(&mut archive, entry).map_err(|error| failed(&entry.source, error))?;
    }
    let flushed = archive.into_inner().and_then(|mut out| out.flush());
    Ok(flushed.map_err(|error| failed(context, error))?)
}

fn append(archive: &mut Builder<impl Write>, entry: &Entry) -> io::Result<()> {
    let name = &entry.name;
    let mut header = Header::new_gnu();
    header.set_mode(entry.mode);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(DATE);
    header.set_size(0);
    match &entry.kind {
        Kind::Link { target } => {
            header.set_entry_type(EntryType::Symlink);
            archive.append_link(&mut header, name, target)
        }
        Kind::Directory => {
            header.set_entry_type(EntryType::Directory);
            archive.append_data(&mut header, format!("{name}/"), io::empty())
        }
        Kind::File { size } => {
            header.set_entry_type(EntryType::Regular);
            header.set_size(*size);
            let mut content = File::open(&entry.source)?.take(*size);
            archive.append_data(&mut header, name, &mut content)?;
            match content.limit() {
                0 => Ok(()),
                _ => Err(io::Error::other("it became shorter while it was read")),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs::{self, Permissions};
    use std::os::unix::fs::{PermissionsExt as _, symlink};
    use std::pin::pin;

    use futures_util::StreamExt;

    use super::*;

    /// A directory with these files; a name that ends in a slash is a directory.
    fn directory(files: &[(&str, &str)]) -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        for (name, content) in files {
            let path = root.path().join(name);
            if name.ends_with('/') {
                fs::create_dir_all(path).unwrap();
            } else {
                fs::create_dir_all(path.parent().unwrap()).unwrap();
                fs::write(path, content).unwrap();
            }
        }
        root
    }

    fn packed(root: &Path, dockerfile: &str) -> Vec<u8> {
        let mut archive = Vec::new();
        pack(root, dockerfile, &mut archive).unwrap();
        archive
    }

    fn names(root: &Path, dockerfile: &str) -> Vec<String> {
        let archive = packed(root, dockerfile);
        tar::Archive::new(&*archive)
            .entries()
            .unwrap()
            .map(|entry| entry.unwrap().path().unwrap().display().to_string())
            .collect()
    }

    #[test]
    fn modes_and_links_are_kept_and_times_and_owners_are_not() {
        let root = directory(&[("run", "#!"), ("Dockerfile", "")]);
        fs::set_permissions(root.path().join("run"), Permissions::from_mode(0o4755)).unwrap();
        symlink("run", root.path().join("walk")).unwrap();
        symlink("/nowhere", root.path().join("lost")).unwrap();

        let archive = packed(root.path(), "Dockerfile");
        let mut seen = Vec::new();
        for entry in tar::Archive::new(&*archive).entries().unwrap() {
            let entry = entry.unwrap();
            let header = entry.header();
            assert_eq!(header.mtime().unwrap(), DATE);
            assert_eq!((header.uid().unwrap(), header.gid().unwrap()), (0, 0));
            let link = entry.link_name().unwrap().map(|l| l.display().to_string());
            seen.push((
                entry.path().unwrap().display().to_string(),
                header.mode().unwrap(),
                link,
            ));
        }
        assert_eq!(seen[1], ("lost".into(), 0o777, Some("/nowhere".into())));
        assert_eq!(seen[2], ("run".into(), 0o4755, None));
        assert_eq!(seen[3], ("walk".into(), 0o777, Some("run".into())));
    }

    #[test]
    fn long_names_survive() {
        let name = format!("{}/{}", "d".repeat(120), "f".repeat(120));
        let root = directory(&[("Dockerfile", ""), (&name, "x")]);
        assert!(names(root.path(), "Dockerfile").contains(&name));
    }

    #[tokio::test]
    async fn the_stream_is_the_archive() {
        let root = directory(&[
            ("Dockerfile", "FROM scratch"),
            ("big", &"x".repeat(3 << 20)),
        ]);
        let (chunks, _failure) = stream(root.path().to_owned(), "Dockerfile".to_owned());
        let mut chunks = pin!(chunks);
        let mut archive = Vec::new();
        while let Some(chunk) = chunks.next().await {
            archive.extend_from_slice(&chunk.unwrap());
        }
        assert_eq!(archive, packed(root.path(), "Dockerfile"));
    }

    #[tokio::test]
    async fn the_channel_names_a_missing_context() {
        let (chunks, mut failure) = stream("no/such/place".into(), "Dockerfile".to_owned());
        assert!(pin!(chunks).next().await.unwrap().is_err());
        let error = failure.try_recv().unwrap().to_string();
        assert!(error.contains("no/such/place"), "{error}");
    }
}

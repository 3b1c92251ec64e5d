//! The entries of a base image's layer with what stands in front of them: long names and PAX records (POSIX pax, GNU
//! tar). Their length is bounded, as they are read into memory: a layer of half a megabyte can hold a gigabyte of them.

use std::io::{self, Read};

use tar::{Entry, EntryType};

/// Bytes of one such record; Go's `archive/tar` has the same limit.
const MAX_RECORD: u64 = 1 << 20;

/// Entries of one layer. The largest images have about half of it.
const MAX_ENTRIES: usize = 1_000_000;

/// What an entry's header and the records before it say.
pub(super) struct BaseEntry<'a, R: Read> {
    pub entry: Entry<'a, R>,
    pub path: Vec<u8>,
    /// Of a link; empty for others.
    pub target: Vec<u8>,
    pub mode: u32,
    pub uid: u64,
    pub gid: u64,
    /// Such as file capabilities.
    pub has_attributes: bool,
}

/// Gives each file, directory and link of `layer` to `take`.
///
/// # Errors
/// Those of `take`; an archive that cannot be read, is too large in one of these respects, or has sparse files.
pub(super) fn for_each<R: Read>(
    layer: R,
    mut take: impl FnMut(BaseEntry<R>) -> io::Result<()>,
) -> io::Result<()> {
    let mut before = Before::default();
    let mut archive = tar::Archive::new(layer);
    // Raw, because the library would read records of any length.
    for (number, entry) in archive.entries()?.raw(true).enumerate() {
        let mut entry = entry?;
        if number >= MAX_ENTRIES {
            return Err(invalid(format!("it has more than {MAX_ENTRIES} entries")));
        }
        match entry.header().entry_type() {
            EntryType::GNULongName => before.name = Some(name(&mut entry)?),
            EntryType::GNULongLink => before.target = Some(name(&mut entry)?),
            EntryType::XHeader => before.records = record(&mut entry)?,
            // For all entries: `git archive` writes its commit there.
            EntryType::XGlobalHeader => {}
            _ => take(std::mem::take(&mut before).of(entry)?)?,
        }
    }
    Ok(())
}

/// What the next entry is preceded by.
#[derive(Default)]
struct Before {
    name: Option<Vec<u8>>,
    target: Option<Vec<u8>>,
    /// `LENGTH KEY=VALUE\n`, one after the other.
    records: Vec<u8>,
}

impl Before {
    fn of<R: Read>(self, entry: Entry<'_, R>) -> io::Result<BaseEntry<'_, R>> {
        let header = entry.header();
        let mut path = self.name.unwrap_or_else(|| entry.path_bytes().into_owned());
        let own = || Some(entry.link_name_bytes()?.into_owned());
        let mut target = self.target.or_else(own).unwrap_or_default();
        let (mut uid, mut gid) = (header.uid()?, header.gid()?);
        let mut has_attributes = false;
        let mut is_sparse = header.entry_type() == EntryType::GNUSparse;
        for (key, value) in pairs(&self.records)? {
            match key {
                "path" => path = value.to_vec(),
                "linkpath" => target = value.to_vec(),
                "uid" => uid = number(value)?,
                "gid" => gid = number(value)?,
                "size" if number(value)? != entry.size() => {
                    return Err(invalid(format!(
                        "`{}` has 8 GiB or more",
                        String::from_utf8_lossy(&path)
                    )));
                }
                key if key.starts_with("GNU.sparse.") => is_sparse = true,
                key => {
                    let namespaces = ["SCHILY.xattr.", "LIBARCHIVE.xattr."];
                    has_attributes |= namespaces.iter().any(|it| key.starts_with(it));
                }
            }
        }
        if is_sparse {
            return Err(invalid(format!(
                "`{}` is stored as a sparse file, which only an engine unpacks; hint: `--builder engine`",
                String::from_utf8_lossy(&path)
            )));
        }
        Ok(BaseEntry {
            mode: header.mode()? & 0o7777,
            entry,
            path,
            target,
            uid,
            gid,
            has_attributes,
        })
    }
}

/// Of an entry that is a name; it may end in a zero byte.
fn name(entry: &mut Entry<'_, impl Read>) -> io::Result<Vec<u8>> {
    let mut name = record(entry)?;
    if name.last() == Some(&0) {
        name.pop();
    }
    Ok(name)
}

fn record(entry: &mut Entry<'_, impl Read>) -> io::Result<Vec<u8>> {
    if entry.size() > MAX_RECORD {
        return Err(invalid(format!(
            "a name or a record of a file's attributes has {} bytes, more than {MAX_RECORD}",
            entry.size()
        )));
    }
    let mut record = Vec::new();
    entry.read_to_end(&mut record)?;
    Ok(record)
}

/// By their lengths, because a value may hold line ends.
fn pairs(mut records: &[u8]) -> io::Result<Vec<(&str, &[u8])>> {
    let damaged = || invalid("a PAX record is damaged".to_owned());
    let mut pairs = Vec::new();
    while !records.is_empty() {
        let blank = records.iter().position(|byte| *byte == b' ');
        let blank = blank.ok_or_else(damaged)?;
        let length = usize::try_from(number(&records[..blank])?).map_err(|_| damaged())?;
        let record = records.get(blank + 1..length).ok_or_else(damaged)?;
        let record = record.strip_suffix(b"\n").ok_or_else(damaged)?;
        let equals = record.iter().position(|byte| *byte == b'=');
        let (key, value) = record.split_at(equals.ok_or_else(damaged)?);
        // A key that is not UTF-8 is none of these.
        pairs.push((std::str::from_utf8(key).unwrap_or_default(), &value[1..]));
        records = &records[length..];
    }
    Ok(pairs)
}

fn number(text: &[u8]) -> io::Result<u64> {
    let text = std::str::from_utf8(text).ok();
    let number = text.and_then(|text| text.parse().ok());
    number.ok_or_else(|| invalid("a PAX record has no number where one should be".to_owned()))
}

fn invalid(reason: String) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, reason)
}

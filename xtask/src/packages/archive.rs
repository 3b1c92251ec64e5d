//! A zip file read with suspicion: nothing is handed out of an archive that is encrypted, expands absurdly or holds an
//! entry without a safe place, and no entry is complete before its CRC was right.

use std::fs::File;
use std::io::{self, BufReader, Read, Write};
use std::path::{Path, PathBuf};

use zip::result::ZipError;
use zip::{CompressionMethod, ZipArchive};

use super::error::Error;
use super::inflater::{Inflater, SHORTER, invalid};
use super::layout::{Kind, Named, Placed, place};

/// More entries than any package has (the product's: a few hundred); bounds time and inodes.
const MOST_ENTRIES: usize = 100_000;

/// The largest expanded size in bytes: an image of that size would not be released either.
const LARGEST: u64 = 8 << 30;

/// Programs compress 2 to 5 times, text up to 20 times; deflate can reach 1032, and overlapping entries more.
const HIGHEST_RATIO: u64 = 100;

/// What may expand by any ratio, in bytes: a small file of zeros is no attack.
const HARMLESS: u64 = 64 << 20;

/// Linux's PATH_MAX: no link's target is longer.
const LONGEST_TARGET: u64 = 4096;

/// The file type bits of a Unix mode, and the types that an archive may hold.
const TYPE: u32 = 0o170_000;
const REGULAR: u32 = 0o100_000;
const DIRECTORY: u32 = 0o040_000;

/// Where the content of a file is in the zip.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ZippedFile {
    /// Relative to the directory it is extracted to.
    pub path: PathBuf,
    /// Of its bytes in the zip.
    pub offset: u64,
    /// Their number.
    pub compressed: u64,
    /// The length of the file.
    pub size: u64,
    pub crc: u32,
    /// The bytes are a deflate stream; otherwise they are the file's.
    pub is_deflated: bool,
}

pub(super) struct Archive<'p> {
    path: &'p Path,
    /// In bytes.
    length: u64,
    zip: ZipArchive<BufReader<File>>,
    inflater: Inflater,
}

impl<'p> Archive<'p> {
    /// Opens a zip and gives each entry its place. No content is read yet, except for links.
    ///
    /// # Errors
    /// [`Error::Refused`] for an archive that is damaged, hostile or empty; [`Error::Io`].
    pub fn open(path: &'p Path) -> Result<(Self, Vec<Placed>), Error> {
        let file = File::open(path).map_err(Error::io("open", path))?;
        let length = file.metadata().map_err(Error::io("read", path))?.len();
        let zip = ZipArchive::new(BufReader::new(file)).map_err(fault(path))?;
        let mut archive = Archive {
            path,
            length,
            zip,
            inflater: Inflater::default(),
        };
        let named = archive.names()?;
        let placed = place(named).map_err(|reason| archive.refuse(reason))?;
        if !placed.iter().any(|entry| entry.kind == Kind::File) {
            return Err(archive.refuse("it holds no files"));
        }
        Ok((archive, placed))
    }

    /// Where the content of a file is.
    pub fn locate(&mut self, entry: &Placed) -> Result<ZippedFile, Error> {
        let file = self.zip.by_index_raw(entry.index);
        let file = file.map_err(fault(self.path))?;
        let is_deflated = match file.compression() {
            CompressionMethod::Deflated => Some(true),
            CompressionMethod::Stored => Some(false),
            _ => None,
        };
        match (is_deflated, file.data_start()) {
            // A stream may end before the entry does: not all readers would see that it is cut off.
            (_, Some(offset)) if offset.saturating_add(file.compressed_size()) > self.length => {
                Err(fault(self.path)(
                    io::Error::from(io::ErrorKind::UnexpectedEof).into(),
                ))
            }
            (Some(is_deflated), Some(offset)) => Ok(ZippedFile {
                path: entry.path.clone(),
                offset,
                compressed: file.compressed_size(),
                size: file.size(),
                crc: file.crc32(),
                is_deflated,
            }),
            _ => {
                let unknown = ZipError::UnsupportedArchive("an unknown compression");
                Err(fault(self.path)(unknown))
            }
        }
    }

    /// Copies the content of a file to `to`; `target` is what its errors name. Returns the bytes written.
    pub fn copy(
        &mut self,
        entry: &Placed,
        to: &mut dyn Write,
        target: &Path,
    ) -> Result<u64, Error> {
        let fault = fault(self.path);
        let raw = self.zip.by_index_raw(entry.index).map_err(fault)?;
        if Inflater::fits(&raw) {
            let content = self.inflater.inflate(raw).map_err(fault)?;
            to.write_all(content).map_err(Error::io("write", target))?;
            return Ok(content.len() as u64);
        }
        drop(raw);
        let mut from = self.zip.by_index(entry.index).map_err(fault)?;
        let mut buffer = vec![0; 128 << 10];
        let mut written = 0;
        loop {
            // The reader stops at the declared size, and fails at the end if the CRC is wrong.
            let read = from
                .read(&mut buffer)
                .map_err(|error| fault(error.into()))?;
            if read == 0 && written < from.size() {
                return Err(fault(invalid(SHORTER).into()));
            }
            if read == 0 {
                return Ok(written);
            }
            to.write_all(&buffer[..read])
                .map_err(Error::io("write", target))?;
            written += read as u64;
        }
    }

    fn names(&mut self) -> Result<Vec<Named>, Error> {
        if self.zip.has_duplicate_names() {
            return Err(self.refuse("it holds two entries of the same name"));
        }
        if self.zip.len() > MOST_ENTRIES {
            return Err(self.refuse(format!("it holds more than {MOST_ENTRIES} entries")));
        }
        let fault = fault(self.path);
        let limit = LARGEST.min(HARMLESS.max(self.length.saturating_mul(HIGHEST_RATIO)));
        let mut expanded = 0_u64;
        let mut named = Vec::with_capacity(self.zip.len());
        for index in 0..self.zip.len() {
            let entry = self.zip.by_index_data(index).map_err(fault)?;
            expanded = expanded.saturating_add(entry.size());
            if expanded > limit {
                let length = self.length;
                let reason = format!("it expands from {length} to more than {limit} bytes");
                return Err(self.refuse(reason));
            }
            let name = entry.name().map_err(fault)?.into_owned();
            let (mode, size) = (entry.unix_mode(), entry.size());
            let of_entry = |problem| format!("its entry `{}` {problem}", name.escape_debug());
            if entry.encrypted() {
                return Err(self.refuse(of_entry("is encrypted")));
            }
            let kind = if entry.is_symlink() {
                Kind::Link(self.target(index, size)?)
            } else {
                match mode.unwrap_or(0) & TYPE {
                    DIRECTORY => Kind::Directory,
                    0 | REGULAR if name.ends_with(['/', '\\']) => Kind::Directory,
                    0 | REGULAR => Kind::File,
                    _ => {
                        let problem = "is neither a file, a directory nor a link";
                        return Err(self.refuse(of_entry(problem)));
                    }
                }
            };
            named.push(Named { name, kind, mode });
        }
        Ok(named)
    }

    /// The target of a symbolic link, which is its content.
    fn target(&mut self, index: usize, size: u64) -> Result<String, Error> {
        if size > LONGEST_TARGET {
            return Err(self.refuse("it holds a symbolic link with too long a target"));
        }
        let fault = fault(self.path);
        let mut content = self.zip.by_index(index).map_err(fault)?;
        io::read_to_string(&mut content).map_err(|error| fault(error.into()))
    }

    pub fn refuse(&self, reason: impl std::fmt::Display) -> Error {
        Error::refused(self.path, reason)
    }
}

/// For `map_err`: the archive's fault, unless the operating system says otherwise.
fn fault(path: &Path) -> impl Fn(ZipError) -> Error + Copy {
    move |error| match error {
        ZipError::Io(error) if error.raw_os_error().is_some() => Error::io("read", path)(error),
        ZipError::Io(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
            Error::refused(path, "it is a truncated zip file")
        }
        error => Error::refused(path, format!("it is no intact zip file ({error})")),
    }
}

//! What this machine allows: open files, and a temporary folder that is on a disk and has room.

use std::path::{Path, PathBuf};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// More than this program ever opens. macOS allows no more than 10240.
const MOST_FILES: u64 = 8192;

/// Prepares this process, whose user may have chosen a folder for temporary files. What the machine does not allow
/// stays as it was.
pub fn prepare(chosen: Option<&str>) {
    raise_open_files();
    let usual = Some(std::env::temp_dir()).filter(|it| !it.as_os_str().is_empty());
    let usual = usual.unwrap_or_else(|| "/tmp".into());
    let folder = temporary_folder(chosen, usual, is_in_memory);
    // Fails only if it was done before.
    let _ = tempfile::env::override_temp_dir(&folder);
}

/// Files, connections among them, that this process may have open.
pub fn open_files() -> u64 {
    getrlimit(Resource::Nofile).current.unwrap_or(MOST_FILES)
}

/// Bytes for which the folder of temporary files has room, if the system tells.
pub fn room() -> Option<u64> {
    let found = rustix::fs::statvfs(tempfile::env::temp_dir()).ok()?;
    Some(found.f_bavail.saturating_mul(found.f_frsize))
}

/// The soft limit is low for programs that call `select`: 1024 on most systems, 256 on macOS.
fn raise_open_files() {
    let found = getrlimit(Resource::Nofile);
    let most = found.maximum.map_or(MOST_FILES, |it| it.min(MOST_FILES));
    if found.current.is_some_and(|it| it < most) {
        let raised = Rlimit {
            current: Some(most),
            maximum: found.maximum,
        };
        let _ = setrlimit(Resource::Nofile, raised);
    }
}

/// Where temporary files go. On many systems `/tmp` is in memory, where the blobs of a run do not belong.
fn temporary_folder(
    chosen: Option<&str>,
    usual: PathBuf,
    is_in_memory: impl Fn(&Path) -> bool,
) -> PathBuf {
    let on_disk = Path::new("/var/tmp");
    match chosen {
        Some(chosen) => chosen.into(),
        None if is_in_memory(&usual) && on_disk.is_dir() && !is_in_memory(on_disk) => {
            on_disk.into()
        }
        None => usual,
    }
}

/// Whether files in `folder` take memory.
#[cfg(target_os = "linux")]
fn is_in_memory(folder: &Path) -> bool {
    /// `TMPFS_MAGIC` and `RAMFS_MAGIC` of linux/magic.h.
    const IN_MEMORY: [u64; 2] = [0x0102_1994, 0x8584_58f6];
    rustix::fs::statfs(folder).is_ok_and(|it| IN_MEMORY.contains(&(it.f_type as u64)))
}

/// Elsewhere `/tmp` is on a disk.
#[cfg(not(target_os = "linux"))]
fn is_in_memory(_: &Path) -> bool {
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn temporary_files_go_to_a_disk_unless_the_user_says_where() {
        let tmp_in_memory: fn(&Path) -> bool = |folder: &Path| folder == Path::new("/tmp");
        let folder = |chosen, is_in_memory: fn(&Path) -> bool| {
            temporary_folder(chosen, "/tmp".into(), is_in_memory)
        };
        assert_eq!(folder(None, tmp_in_memory), Path::new("/var/tmp"));
        assert_eq!(folder(Some("/tmp"), tmp_in_memory), Path::new("/tmp"));
        assert_eq!(folder(None, |_| true), Path::new("/tmp"));
        assert_eq!(folder(None, |_| false), Path::new("/tmp"));
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_file_system_in_memory_is_known() {
        assert!(is_in_memory(Path::new("/dev/shm")));
        assert!(!is_in_memory(Path::new("/proc")));
    }
}

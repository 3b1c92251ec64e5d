//! Archives that are good and archives that are not.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use fakes::zips::{build, forge, package, zip};
use xtask::packages::{ListedKind, extract, list};

use crate::support::names;

/// Extracts over an earlier `lib-amd64/`; on refusal checks that it is untouched and nothing is left beside it.
fn unpack(bytes: &[u8]) -> Result<tempfile::TempDir, String> {
    let dir = tempfile::tempdir().unwrap();
    let (zip, into) = (dir.path().join("p.zip"), dir.path().join("out/lib-amd64"));
    fs::write(&zip, bytes).unwrap();
    fs::create_dir_all(&into).unwrap();
    fs::write(into.join("old"), "old").unwrap();
    let extracted = extract(&zip, &into);
    assert_eq!(names(&dir.path().join("out")), ["lib-amd64"]);
    assert_eq!(names(dir.path()), ["out", "p.zip"]);
    if let Err(error) = extracted {
        assert!(error.is_input(), "{error}");
        assert_eq!(names(&into), ["old"]);
        return Err(error.to_string());
    }
    Ok(dir)
}

#[test]
fn a_package_replaces_the_directory_and_everyone_may_read_it() {
    let bytes = build(|zip| {
        use std::io::Write as _;
        let mode = |mode| zip::write::SimpleFileOptions::default().unix_permissions(mode);
        zip.add_directory("lib/", mode(0o700)).unwrap();
        zip.start_file("lib/bin/app", mode(0o700)).unwrap();
        zip.write_all(b"app").unwrap();
        zip.start_file("lib/app.dll", mode(0o600)).unwrap();
        zip.add_symlink("lib/bin/current", "../app.dll", mode(0o777))
            .unwrap();
    });
    let dir = unpack(&bytes).unwrap();
    let lib = dir.path().join("out/lib-amd64");
    assert_eq!(names(&lib), ["app.dll", "bin"]);
    let mode = |path: &str| fs::metadata(lib.join(path)).unwrap().permissions().mode() & 0o7777;
    assert_eq!(
        [mode(""), mode("bin"), mode("bin/app"), mode("app.dll")],
        [0o755, 0o755, 0o755, 0o644]
    );
    assert_eq!(fs::read(lib.join("bin/app")).unwrap(), b"app");
    assert_eq!(
        fs::read_link(lib.join("bin/current")).unwrap(),
        Path::new("../app.dll")
    );
    // What is listed is what is extracted.
    let listed = list(&dir.path().join("p.zip")).unwrap();
    let paths: Vec<_> = listed.keys().filter_map(|path| path.to_str()).collect();
    assert_eq!(paths, ["app.dll", "bin", "bin/app", "bin/current"]);
    for (path, entry) in &listed {
        let metadata = lib.join(path).symlink_metadata().unwrap();
        assert_eq!(metadata.permissions().mode() & 0o7777, entry.mode);
        let is_same = match &entry.kind {
            ListedKind::Directory => metadata.is_dir(),
            ListedKind::File(file) => metadata.is_file() && file.size == metadata.len(),
            ListedKind::Link(target) => metadata.is_symlink() && target == "../app.dll",
        };
        assert!(is_same, "{}: {entry:?}", path.display());
    }
}

#[test]
fn a_first_extraction_makes_the_directory_and_clears_what_a_killed_run_left() {
    let dir = tempfile::tempdir().unwrap();
    let (zip, out) = (dir.path().join("p.zip"), dir.path().join("out"));
    fs::write(&zip, package(1000)).unwrap();
    fs::create_dir_all(out.join(".lib-amd64.extracting/new/x")).unwrap();
    let extracted = extract(&zip, &out.join("lib-amd64")).unwrap();
    assert_eq!((extracted.files, extracted.bytes), (2, 1023));
    assert_eq!(names(&out), ["lib-amd64"]);
    assert_eq!(names(&out.join("lib-amd64")), ["data", "start.sh"]);
}

#[test]
fn an_archive_that_would_write_elsewhere_is_refused() {
    let one = zip(&[("good", 0o644, b"good"), ("AAAAevil", 0o644, b"evil")]);
    for name in [
        "../.evil",
        "..\\.evil",
        "/tmp/evi",
        "C:\\\\evil",
        "a/../../",
        "a\0b\0evil",
    ] {
        let error = unpack(&forge(one.clone(), b"AAAAevil", name.as_bytes())).unwrap_err();
        assert!(error.contains("its entry `"), "{error}");
    }
    let through = build(|zip| {
        let options = zip::write::SimpleFileOptions::default();
        zip.add_symlink("out", "/tmp", options).unwrap();
        zip.start_file("good", options).unwrap();
    });
    assert!(unpack(&through).unwrap_err().contains("symbolic link"));
}

#[test]
fn an_archive_that_takes_a_path_twice_is_refused() {
    let two = zip(&[("README", 0o644, b"1"), ("readyy", 0o644, b"2")]);
    assert!(unpack(&two).is_ok());
    let by_case = unpack(&forge(two.clone(), b"readyy", b"readme")).unwrap();
    let lib = by_case.path().join("out/lib-amd64");
    assert_eq!(names(&lib), ["README", "readme"]);
    let same = forge(two, b"readyy", b"README");
    assert!(unpack(&same).unwrap_err().contains("same name"));
}

#[test]
fn an_archive_that_expands_absurdly_is_refused() {
    let zeros = vec![0; 70 << 20];
    let bomb = zip(&[("zeros", 0o644, &zeros)]);
    assert!(unpack(&bomb).unwrap_err().contains("expands from"));
    // The same with a small size in its headers: the truth comes out while reading.
    let (true_size, small) = (u32::try_from(zeros.len()).unwrap(), 5_u32);
    let lie = forge(bomb, &true_size.to_le_bytes(), &small.to_le_bytes());
    assert!(unpack(&lie).is_err());
}

#[test]
fn an_archive_that_is_damaged_encrypted_or_empty_is_refused() {
    let good = package(1000);
    for length in [0, 10, good.len() / 2, good.len() - 1] {
        let error = unpack(&good[..length]).unwrap_err();
        assert!(error.contains("zip file"), "{length}: {error}");
    }
    let mut damaged = good.clone();
    damaged[600] ^= 1;
    assert!(unpack(&damaged).unwrap_err().contains("no intact zip file"));
    // Bit 0 of the flags, in the central directory's entry: its signature, two versions, the flags.
    let plain = zip(&[("a", 0o644, b"a")]);
    let mut encrypted = plain.clone();
    let entry = plain
        .windows(4)
        .position(|bytes| bytes == b"PK\x01\x02")
        .unwrap();
    encrypted[entry + 8] |= 1;
    assert!(unpack(&encrypted).unwrap_err().contains("encrypted"));
    assert!(unpack(&zip(&[])).unwrap_err().contains("no files"));
}

#[test]
fn entries_that_are_not_what_they_say_are_refused_whatever_their_size() {
    // Large ones are inflated in pieces.
    for size in [1234_u32, 9 << 20] {
        let good = package(size as usize);
        assert!(unpack(&good).is_ok());
        let mut damaged = good.clone();
        let middle = damaged.len() / 2;
        damaged[middle] ^= 1;
        let longer = forge(good, &size.to_le_bytes(), &(size + 1).to_le_bytes());
        for zip in [damaged, longer] {
            assert!(unpack(&zip).unwrap_err().contains("no intact zip file"));
        }
    }
}

#[test]
fn a_directory_that_cannot_be_made_is_this_machines_fault() {
    let dir = tempfile::tempdir().unwrap();
    let zip = dir.path().join("p.zip");
    fs::write(&zip, package(100)).unwrap();
    let error = extract(&zip, &zip.join("lib-amd64")).unwrap_err();
    assert!(!error.is_input(), "{error}");
}

#[test]
fn an_empty_file_needs_no_stream_and_what_follows_one_is_ignored() {
    // A stream of "a", stored in one block, with what a gzip reader would take for its trailer.
    let stream = [1, 1, 0, 0xfe, 0xff, b'a'];
    let crc = 0xe8b7_be43_u32.to_le_bytes();
    let tailed = [&stream[..], &crc, &[1, 0, 0, 0]].concat();
    for (bytes, crc, size, content) in [(&[][..], [0; 4], 0_u32, ""), (&tailed, crc, 1, "a")] {
        let compressed = (bytes.len() as u32).to_le_bytes();
        // Method 8, no time, the lengths, a name of one character.
        let common = [
            &[20, 0, 0, 0, 8, 0, 0, 0, 0x21, 0x50][..],
            &crc,
            &compressed,
            &size.to_le_bytes(),
            &[1, 0, 0, 0],
        ]
        .concat();
        let local = [b"PK\x03\x04", &common[..], b"x", bytes].concat();
        let central = [b"PK\x01\x02\x14\x03", &common[..], &[0; 14], b"x"].concat();
        let lengths = [central.len() as u32, local.len() as u32].map(u32::to_le_bytes);
        let end = [
            b"PK\x05\x06\0\0\0\0\x01\0\x01\0",
            &lengths.concat()[..],
            &[0; 2],
        ]
        .concat();
        let dir = unpack(&[local, central, end].concat()).unwrap();
        let extracted = fs::read_to_string(dir.path().join("out/lib-amd64/x")).unwrap();
        assert_eq!(extracted, content);
    }
}

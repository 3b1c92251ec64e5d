//! What is stored in which layer, and that nothing but the input decides about its bytes.

use std::io::Write as _;

use super::*;
use crate::image::layers::{BaseImage, Contents};
use crate::oci::Digest;

fn layers(files: &[&str], dockerfile: &str) -> Vec<Vec<String>> {
    let root = context(files);
    let plan = planned(root.path(), &Origins::new(), dockerfile).unwrap();
    let built = built(&plan, Compression::default(), 2);
    built.iter().map(|layer| listed(&inflated(layer))).collect()
}

#[test]
fn what_is_there_already_is_not_stored_again() {
    let files = ["o/a\t644\tA", "o/b\t644\tB", "n/a\t644\tA", "n/b\t600\tB"];
    let layers = layers(&files, "COPY o /x/y\nCOPY o /x/y\nCOPY n /x/y\nWORKDIR /x");
    assert_eq!(
        layers,
        [
            vec!["d755\tx", "d755\tx/y", "f644\tx/y/a\tA", "f644\tx/y/b\tB"],
            vec!["d755\tx", "d755\tx/y", "f600\tx/y/b\tB"],
        ]
    );
}

#[test]
fn the_directories_of_a_file_are_stored_with_it_as_they_are() {
    let files = ["o/p/\t711", "o/p/a\t644\tA", "b\t644\tB"];
    let layers = layers(&files, "COPY --chown=3:4 o /\nCOPY b /p/b");
    assert_eq!(
        layers,
        [
            ["d711 3:4\tp", "f644 3:4\tp/a\tA"],
            ["d711 3:4\tp", "f644\tp/b\tB"],
        ]
    );
}

/// A tar archive with these entries: kind, mode, name, content or target.
fn tar(entries: &[(u8, u32, &str, &str)]) -> Vec<u8> {
    let mut archive = tar::Builder::new(Vec::new());
    for (kind, mode, name, content) in entries {
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(tar::EntryType::new(*kind));
        header.set_mode(*mode);
        header.set_uid(7);
        header.set_gid(8);
        header.set_size(0);
        if matches!(kind, b'1' | b'2') {
            archive.append_link(&mut header, name, content).unwrap();
        } else {
            header.set_size(content.len() as u64);
            archive
                .append_data(&mut header, name, content.as_bytes())
                .unwrap();
        }
    }
    archive.into_inner().unwrap()
}

fn paths(tree: &FileTree) -> Vec<&str> {
    tree.below("").map(|(path, _)| path.as_str()).collect()
}

#[test]
fn the_layers_of_a_base_are_applied_with_their_whiteouts() {
    let mut tree = FileTree::default();
    let lower = tar(&[
        (b'5', 0o755, "./etc/", ""),
        (b'0', 0o644, "./etc/passwd", "app:x:5:6::/:\n"),
        (b'5', 0o755, "usr/lib/", ""),
        (b'0', 0o644, "usr/lib/one", "1"),
        (b'0', 0o644, "usr/lib/two", "2"),
        (b'2', 0o777, "lib", "usr/lib"),
        (b'5', 0o755, "old/", ""),
        (b'0', 0o644, "old/file", "f"),
    ]);
    let upper = tar(&[
        (b'0', 0o644, "old/new", "n"),
        (b'0', 0, "old/.wh..wh..opq", ""),
        (b'0', 0, "lib/.wh.one", ""),
        (b'1', 0o644, "lib/three", "usr/lib/two"),
    ]);
    tree.apply(&*lower, Contents::Compared).unwrap();
    tree.apply(&*upper, Contents::Compared).unwrap();
    assert_eq!(
        paths(&tree),
        [
            "etc",
            "etc/passwd",
            "lib",
            "old",
            "old/new",
            "usr",
            "usr/lib",
            "usr/lib/three",
            "usr/lib/two"
        ]
    );
}

#[test]
fn a_base_gives_its_users_and_keeps_what_a_copy_does_not_change() {
    let mut image = BaseImage {
        user: "app".to_owned(),
        ..BaseImage::default()
    };
    let base = tar(&[
        (b'0', 0o644, "etc/passwd", "app:x:7:8::/:\n"),
        (b'0', 0o644, "srv/same", "same"),
        (b'0', 0o644, "srv/other", "from"),
    ]);
    image.tree.apply(&*base, Contents::Kept).unwrap();
    let root = context(&["a/same\t644\tsame", "a/other\t644\tcopy"]);
    let reference: crate::oci::Reference = "example.com/base:1".parse().unwrap();
    let platform: crate::oci::Platform = "linux/amd64".parse().unwrap();
    let mut recipe =
        recipe("WORKDIR /w\nCOPY --chown=app a /srv\nFROM scratch\nCOPY --from=0 /srv /s");
    recipe.stages[0].base = Base::Image {
        reference: reference.clone(),
        platform: platform.clone(),
    };
    let context = Context::read(root.path(), "Dockerfile").unwrap();
    let context = FileTree::of_context(&context, &Origins::new());
    let images = HashMap::from([((reference, platform), image)]);
    let inputs = Inputs {
        context: &context,
        images: &images,
    };
    let copied = plan(&recipe, &inputs).unwrap();
    assert_eq!(
        listed(&inflated(&built(&copied, Compression::default(), 1)[0])),
        [
            "d755\ts",
            "f644 7:8\ts/other\tcopy",
            "f644 7:8\ts/same\tsame"
        ]
    );
    recipe.stages.pop();
    let own = built(&plan(&recipe, &inputs).unwrap(), Compression::default(), 1);
    let own: Vec<_> = own.iter().map(|layer| listed(&inflated(layer))).collect();
    // `srv` has no entry of its own in the base: such a directory is root's.
    assert_eq!(
        own,
        [
            vec!["d755 7:8\tw"],
            vec!["d755\tsrv", "f644 7:8\tsrv/other\tcopy"]
        ]
    );
}

#[test]
fn a_stage_hands_on_its_layers_and_user() {
    let files = ["a\t644\tA"];
    let layers = layers(&files, "USER 3:4\nCOPY a /\nFROM stage 0\nWORKDIR /w");
    assert_eq!(layers, [["f644\ta\tA"], ["d755 3:4\tw"]]);
}

#[test]
fn digests_depend_neither_on_cores_nor_on_places_and_times() {
    let digests = |compression: Compression, workers| {
        let root = context(&["a/\t755", "b\t600\tb", "c\t644\tc"]);
        let mut large = fs::File::create(root.path().join("a/large")).unwrap();
        for number in 0..400_000_u32 {
            large
                .write_all(&(number ^ (number >> 3)).to_be_bytes())
                .unwrap();
        }
        let plan = planned(root.path(), &Origins::new(), "COPY a /a\nCOPY b c /d/").unwrap();
        let built = built(&plan, compression, workers);
        assert!(
            built
                .iter()
                .all(|layer| Digest::sha256_of(&bytes(layer)) == layer.blob.descriptor.digest)
        );
        let digests = built
            .iter()
            .map(|layer| (layer.diff_id.clone(), layer.blob.descriptor.clone()));
        digests.collect::<Vec<_>>()
    };
    for compression in [Compression::default(), Compression::Zstd(3)] {
        assert_eq!(digests(compression, 1), digests(compression, 8));
    }
    let diff_id = |compression| digests(compression, 2)[0].0.clone();
    assert_eq!(diff_id(Compression::Gzip(9)), diff_id(Compression::Zstd(1)));
}

#[test]
fn every_date_is_the_same_and_names_of_any_length_are_kept() {
    let long = format!("{}/{}", "d".repeat(150), "f".repeat(250));
    let root = context(&[
        &format!("{long}\t644\tx"),
        "中文\t644\ty",
        &format!("link\t-> {long}"),
    ]);
    let plan = planned(root.path(), &Origins::new(), "COPY . /w/").unwrap();
    let tar = inflated(&built(&plan, Compression::default(), 1)[0]);
    let mut archive = tar::Archive::new(&*tar);
    let dates = archive
        .entries()
        .unwrap()
        .map(|entry| entry.unwrap().header().mtime().unwrap());
    assert!(
        dates
            .collect::<Vec<_>>()
            .iter()
            .all(|date| *date == 315_619_200)
    );
    let mut names = listed(&tar);
    names.sort();
    assert!(names.contains(&format!("f644\tw/{long}\tx")), "{names:?}");
    assert!(
        names.contains(&format!("l\tw/link\t-> {long}")),
        "{names:?}"
    );
    assert!(names.contains(&"f644\tw/中文\ty".to_owned()), "{names:?}");
}

#[test]
fn a_pattern_that_matches_nothing_is_told() {
    let root = context(&["a\t644\tA"]);
    let plan = planned(root.path(), &Origins::new(), "COPY a *.config /w/").unwrap();
    assert_eq!(
        plan.warnings,
        ["line 2: `*.config` matches nothing in the build context"]
    );
}

#[test]
fn an_archive_is_known_by_its_content_when_it_is_added() {
    let root = context(&["plain\t644\tA", "plain.txt\t644\tB"]);
    let archive = tar(&[(b'0', 0o644, "a", "A")]);
    let files: [(&str, &[u8]); 6] = [
        ("tar", &archive),
        ("gzip", &[0x1f, 0x8b, 8, 0, 0]),
        ("bzip2", b"BZh91AY"),
        ("xz", b"\xfd7zXZ\0\0"),
        ("zstd", &[0x28, 0xb5, 0x2f, 0xfd]),
        ("zeros", &[0; 1024]),
    ];
    for (name, bytes) in files {
        fs::write(root.path().join(name), bytes).unwrap();
    }
    let planned = |step: &str| planned(root.path(), &Origins::new(), step);
    for (name, _) in &files[..5] {
        let error = planned(&format!("COPY --add plain {name} /w/")).unwrap_err();
        let said = format!("line 2: `ADD {name}` would unpack it");
        assert!(error.to_string().starts_with(&said), "{error}");
        planned(&format!("COPY {name} /w/")).unwrap();
    }
    // In a directory it stays packed, and two empty blocks are no archive.
    planned("COPY --add plain* zeros . /w/").unwrap();
}

#[test]
fn a_name_that_would_remove_another_file_is_refused() {
    let root = context(&["d/.wh.passwd\t644\tA"]);
    for step in [
        "COPY d /etc",
        "COPY d/.wh.passwd /etc/",
        "WORKDIR /a/.wh.b/c",
    ] {
        let error = planned(root.path(), &Origins::new(), step).unwrap_err();
        let text = error.to_string();
        assert!(
            text.starts_with("line 2: `/") && text.contains("/.wh."),
            "{text}"
        );
    }
}

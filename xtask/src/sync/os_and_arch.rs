//! image-syncer's `--os` and `--arch`, each of which leaves the other open (its `pkg/sync/manifest.go`).

use crate::oci::{Platform, PlatformError};

/// What fits one of each; nothing if neither is given.
pub(super) fn any_of(os: &[String], arch: &[String]) -> Result<Vec<Platform>, PlatformError> {
    let given = |list: &[String]| -> Vec<String> {
        let list = list.iter().filter(|it| !it.is_empty());
        list.cloned().collect()
    };
    let or_open = |list: Vec<String>| match list.is_empty() {
        true => vec![String::new()],
        false => list,
    };
    let (os, arch) = (given(os), given(arch));
    if os.is_empty() && arch.is_empty() {
        return Ok(Vec::new());
    }
    let (os, arch) = (or_open(os), or_open(arch));
    let pairs = os
        .iter()
        .flat_map(|os| arch.iter().map(move |arch| (os, arch)));
    pairs.map(|(os, arch)| platform(os, arch)).collect()
}

/// `OS[:VERSION]` and `ARCHITECTURE[:VARIANT]`; an empty one is open.
fn platform(os: &str, arch: &str) -> Result<Platform, PlatformError> {
    // Only to see whether they can be names.
    for text in [os, arch].into_iter().filter(|it| !it.is_empty()) {
        for part in text.splitn(2, ':') {
            format!("{part}/{part}").parse::<Platform>()?;
        }
    }
    let (os, version) = parts(os);
    let (arch, variant) = parts(arch);
    Ok(Platform {
        os: os.to_owned(),
        os_version: version.map(str::to_owned),
        architecture: arch.to_owned(),
        variant: variant.map(str::to_owned),
        ..Platform::default()
    })
}

fn parts(text: &str) -> (&str, Option<&str>) {
    match text.split_once(':') {
        Some((first, second)) => (first, Some(second)),
        None => (text, None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_option_leaves_the_other_open() {
        let fitting = |os: &[&str], arch: &[&str]| {
            let owned = |list: &[&str]| list.iter().map(|it| (*it).to_owned()).collect::<Vec<_>>();
            let asked = any_of(&owned(os), &owned(arch)).unwrap();
            let there = [
                "linux/amd64",
                "linux/arm/v6",
                "linux/arm/v7",
                "linux/arm64",
                "windows/amd64",
            ];
            let there = there.into_iter().filter(|there| {
                let there = there.parse().unwrap();
                asked.iter().any(|it| it.fits(&there))
            });
            there.collect::<Vec<_>>().join(" ")
        };
        assert_eq!(fitting(&[], &["amd64"]), "linux/amd64 windows/amd64");
        assert_eq!(fitting(&["windows"], &[]), "windows/amd64");
        assert_eq!(fitting(&["linux"], &["amd64", ""]), "linux/amd64");
        assert_eq!(fitting(&["linux"], &["arm"]), "linux/arm/v6 linux/arm/v7");
        assert_eq!(fitting(&[], &["arm:v7"]), "linux/arm/v7");
        assert_eq!(fitting(&["windows:10.0.17763.1"], &[]), "");
        assert_eq!(any_of(&[], &[String::new()]), Ok(Vec::new()));
        for wrong in ["no such", "arm/v7", "arm:v7:x", ":"] {
            assert!(any_of(&[], &[wrong.to_owned()]).is_err(), "{wrong}");
        }
    }
}

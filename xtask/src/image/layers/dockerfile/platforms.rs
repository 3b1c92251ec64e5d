//! Platforms as Dockerfiles see them.

use crate::oci::{Platform, PlatformError};

/// A platform, or half of one: `linux` is this machine's architecture, `arm64` is Linux.
pub(super) fn parse(text: &str) -> Result<Platform, PlatformError> {
    let platform = match text {
        "linux" | "windows" | "darwin" | "freebsd" => {
            format!("{text}/{}", build_platform().architecture).parse()
        }
        "386" | "amd64" | "x86_64" | "x86-64" | "arm" | "armel" | "armhf" | "arm64" | "aarch64"
        | "loong64" | "ppc64le" | "riscv64" | "s390x" => format!("linux/{text}").parse(),
        text => text.parse(),
    };
    platform.map(|platform| normal(&platform))
}

/// This machine's. Where the layer builder runs nothing it only selects images.
pub(super) fn build_platform() -> Platform {
    let platform = |os: &str, architecture: &str| Platform {
        architecture: architecture.to_owned(),
        os: os.to_owned(),
        os_version: None,
        os_features: None,
        variant: None,
        features: None,
    };
    // On macOS, too, an engine builds in Linux.
    platform("linux", std::env::consts::ARCH)
}

/// As containerd writes it: one name for each architecture, and a variant only where it says something.
pub(super) fn normal(platform: &Platform) -> Platform {
    let variant = platform.variant.as_deref().unwrap_or_default();
    let (architecture, variant) = match (platform.architecture.as_str(), variant) {
        ("x86_64" | "x86-64" | "amd64", "v1" | "") => ("amd64", ""),
        ("x86_64" | "x86-64", variant) => ("amd64", variant),
        ("aarch64" | "arm64", "8" | "v8" | "") => ("arm64", ""),
        ("aarch64", variant) => ("arm64", variant),
        ("armhf", _) | ("arm", "" | "7") => ("arm", "v7"),
        ("armel", _) | ("arm", "6") => ("arm", "v6"),
        ("x86" | "i386", _) => ("386", ""),
        (architecture, variant) => (architecture, variant),
    };
    Platform {
        architecture: architecture.to_owned(),
        variant: (!variant.is_empty()).then(|| variant.to_owned()),
        ..platform.clone()
    }
}

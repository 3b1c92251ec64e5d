//! Options that image-syncer's users know.

use std::path::PathBuf;

use clap::Args;

/// What `sync` and `copy` take in image-syncer's words.
#[derive(Debug, Args)]
pub struct ImageSyncerOptions {
    /// With `--arch`, in image-syncer's way: the operating systems of `--platform`; `linux` if not given
    #[arg(long, value_name = "OS", requires = "arch")]
    pub os: Vec<String>,
    /// Only these architectures, of what an image has of them: `amd64`, `arm:v7`; one each time
    #[arg(long, value_name = "ARCHITECTURE", conflicts_with = "platform")]
    pub arch: Vec<String>,
    /// Write the images that are in place to this file, as image-syncer's images
    #[arg(long, value_name = "FILE")]
    pub output_success_images: Option<PathBuf>,
    /// How that file is written
    #[arg(long, value_name = "FORMAT", default_value = "yaml", value_parser = ["yaml", "json"])]
    pub output_images_format: String,
}

//! Options that image-syncer's users know.

use std::path::PathBuf;

use clap::Args;

/// What `sync` and `copy` take in image-syncer's words.
#[derive(Debug, Args)]
pub struct ImageSyncerOptions {
    /// Whichever images for these operating systems there are: `linux`, `windows:10.0.17763`; one each time
    #[arg(long, value_name = "OS", conflicts_with = "platform")]
    pub os: Vec<String>,
    /// The same for architectures: `amd64`, `arm:v7`; with both options, an image fits both
    #[arg(long, value_name = "ARCHITECTURE", conflicts_with = "platform")]
    pub arch: Vec<String>,
    /// Write the images that are in place to this file, as image-syncer's images
    #[arg(long, value_name = "FILE")]
    pub output_success_images: Option<PathBuf>,
    /// How that file is written
    #[arg(long, value_name = "FORMAT", default_value = "yaml", value_parser = ["yaml", "json"])]
    pub output_images_format: String,
}

//! Cleaning up in the container engine. Refuses to know how images got there.

use anyhow::Result;
use bollard::Docker;
use bollard::query_parameters::{ListImagesOptions, RemoveImageOptions};

/// Removes every tag of `image`, in whatever registry's repository; an engine that is not there holds none.
pub async fn remove_images(image: &str) -> Result<()> {
    let Ok(engine) = Docker::connect_with_defaults() else {
        return Ok(());
    };
    let Ok(images) = engine.list_images(None::<ListImagesOptions>).await else {
        return Ok(());
    };
    for tag in images.iter().flat_map(|image| &image.repo_tags) {
        let name = tag.rsplit('/').next().unwrap_or(tag);
        if name.split(':').next() == Some(image) {
            engine
                .remove_image(tag, None::<RemoveImageOptions>, None)
                .await?;
        }
    }
    Ok(())
}

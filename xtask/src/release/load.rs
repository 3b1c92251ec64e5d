//! `--load`: the engine gets the image for its platform, to try it, under the image's name and version.

use anyhow::{Context as _, Result};

use super::builder::Builder;
use super::clients::Clients;
use super::plan::{ReleasePlan, join};
use crate::engine::BuildPlan;
use crate::exit::bad_input;
use crate::image::ImageFiles;
use crate::oci::Platform;

/// The engine's platform, if the image has it.
///
/// # Errors
/// [`BadInput`](crate::exit::BadInput): no engine, or one of another platform.
pub async fn platform(plan: &ReleasePlan, clients: &Clients<'_>) -> Result<Platform> {
    let engine = clients.engine().await.context("`--load` needs an engine")?;
    let platform = engine.platform().await?;
    if plan.platforms.iter().any(|it| platform.fits(it)) {
        return Ok(platform);
    }
    Err(bad_input(format!(
        "`--load`: the engine runs on `{platform}`, and the image is made for {}",
        join(&plan.platforms)
    )))
}

/// Loads what the layer builder made, or names what the engine built.
pub async fn load(plan: &ReleasePlan, clients: &Clients<'_>) -> Result<()> {
    let engine = clients.engine().await?;
    let platform = platform(plan, clients).await?;
    match plan.transport.builder {
        Builder::Layers => {
            let image = ImageFiles::find(&plan.layout, &platform)?;
            engine.load(image, &plan.image).await?;
        }
        Builder::Engine => {
            let fits = |build: &&BuildPlan| platform.fits(&build.platform);
            let build = plan.builds.iter().find(fits);
            let built = build.map(|build| &*build.tag).unwrap_or_default();
            let id = engine.image_id(built).await?;
            let id = id.ok_or_else(|| plan.transport.no_such_image(built))?;
            engine.tag(&id, &plan.image.parse()?).await?;
        }
    }
    Ok(())
}

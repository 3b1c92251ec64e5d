//! The version at a registry that this run does not push to: those that lack it get it from there, as it is. Nothing
//! has to be downloaded or built for that.

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;

use super::clients::Clients;
use super::plan::ReleasePlan;
use super::registry_state::find_version;
use super::transport::PrebuiltImage;
use crate::cli::Via;
use crate::graph::same_name;

/// The targets that make the image.
const MAKERS: [&str; 3] = ["download", "extract", "docker-build"];

/// The image of the version, if this run pushes without being asked to make the image, and another registry holds it.
pub async fn find(
    plan: &ReleasePlan,
    clients: &Clients<'_>,
    scheduled: &[&str],
    requested: &[String],
) -> Option<PrebuiltImage> {
    let is_maker = |name: &String| MAKERS.iter().any(|maker| same_name(name, maker));
    if plan.transport.image.is_some()
        || plan.transport.load
        || plan.transport.via == Via::Engine
        || !scheduled.contains(&"docker-build")
        || requested.iter().any(is_maker)
    {
        return None;
    }
    let is_scheduled = |target: &str| scheduled.contains(&target);
    let mut pushes = plan.pushes.iter();
    if !pushes.any(|push| is_scheduled(&push.target)) {
        return None;
    }
    let others = plan.pushes.iter().filter(|push| {
        !is_scheduled(&push.target) && clients.registries.get(&push.registry).is_signed_in()
    });
    let asked: FuturesUnordered<_> = others
        .map(|push| async move {
            let repository = clients.registries.get(&push.registry).repository();
            let manifest = find_version(&repository, &push.immutable).await?;
            let (name, version) = (&push.registry, &push.immutable);
            Some(PrebuiltImage::held(name, version, manifest.digest()))
        })
        .collect();
    // The first to answer will do.
    let mut held = std::pin::pin!(asked.filter_map(async |held| held));
    held.next().await
}
